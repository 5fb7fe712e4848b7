// A file or block device for looking only: no lock is taken, so that a mounted filesystem can be looked at. What it
// shows of one may be older than what nodes have in their caches and journals.
#pragma once

#include <memory>
#include <string>

#include "base/io/file_descriptor.hh"
#include "clusterfs/core/whole_device.hh"

namespace debugfs_cfs {

class ReadOnlyFile : public clusterfs::SynchronousDevice {
  public:
    static base::Result<std::unique_ptr<ReadOnlyFile>> open(const std::string& path);

    std::uint64_t block_count() const override { return blocks_; }
    base::Result<void> read(clusterfs::BlockNumber first, std::span<clusterfs::Block> into) override;
    base::Result<void> write(clusterfs::BlockNumber, std::span<const clusterfs::Block>) override {
        return base::failure(std::errc::read_only_file_system);
    }
    base::Result<void> flush() override { return {}; }

  private:
    ReadOnlyFile(base::FileDescriptor file, std::uint64_t blocks) : file_(std::move(file)), blocks_(blocks) {}

    base::FileDescriptor file_;
    std::uint64_t blocks_;
};

}  // namespace debugfs_cfs
