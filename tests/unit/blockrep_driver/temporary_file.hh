// A file of a given size that goes away with the test, on a filesystem with O_DIRECT.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

class TemporaryFile {
  public:
    explicit TemporaryFile(std::uint64_t size) {
        const char* folder = std::getenv("TMPDIR");
        path_ = std::string(folder != nullptr ? folder : "/var/tmp") + "/blockrep-test-XXXXXX";
        descriptor_ = ::mkstemp(path_.data());
        EXPECT_GE(descriptor_, 0);
        EXPECT_EQ(::ftruncate(descriptor_, static_cast<off_t>(size)), 0);
    }
    ~TemporaryFile() {
        ::close(descriptor_);
        ::unlink(path_.c_str());
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    const std::string& path() const { return path_; }
    int descriptor() const { return descriptor_; }

  private:
    std::string path_;
    int descriptor_ = -1;
};
