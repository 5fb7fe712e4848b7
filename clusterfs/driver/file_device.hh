// A plain file or a local block device as a BlockDevice, for mounts that one node has to itself.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/block_device.hh"
#include "base/io/file_descriptor.hh"

namespace clusterfs {

class FileDevice : public base::BlockDevice {
  public:
    // Opens for reading and writing and takes the file's lock, so that two mounts of it refuse each other.
    static base::Result<std::unique_ptr<FileDevice>> open(const std::string& path, bool read_only);
    ~FileDevice() override;

    std::uint64_t size() const override { return size_; }
    std::uint32_t alignment() const override { return 512; }
    void read(std::uint64_t offset, base::MutableByteView into, Completion done) override;
    void write(std::uint64_t offset, base::ByteView from, base::Durability durability, Completion done) override;
    void flush(Completion done) override;
    void discard(std::uint64_t offset, std::uint64_t length, Completion done) override;

  private:
    struct Job {
        std::function<base::Result<void>()> work;
        Completion done;
    };

    FileDevice(base::FileDescriptor file, std::uint64_t size);
    void enqueue(Job job);
    void work();
    base::Result<void> read_all(std::uint64_t offset, base::MutableByteView into) const;
    base::Result<void> write_all(std::uint64_t offset, base::ByteView from) const;
    base::Result<void> synchronize() const;

    base::FileDescriptor file_;
    std::uint64_t size_;
    std::mutex mutex_;
    std::condition_variable more_;
    std::deque<Job> jobs_;
    bool ended_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace clusterfs
