// A base::BlockDevice for those who have nothing else to do: every call waits for its completion.
#pragma once

#include <memory>

#include "base/aligned_buffer.hh"
#include "base/block_device.hh"
#include "clusterfs/core/whole_device.hh"

namespace fskit {

class WaitingDevice : public clusterfs::SynchronousDevice {
  public:
    explicit WaitingDevice(base::BlockDevice& device) : device_(device) {}

    std::uint64_t block_count() const override { return device_.size() / clusterfs::block_size; }
    base::Result<void> read(clusterfs::BlockNumber first, std::span<clusterfs::Block> into) override;
    base::Result<void> write(clusterfs::BlockNumber first, std::span<const clusterfs::Block> from) override;
    base::Result<void> flush() override;

  private:
    base::BlockDevice& device_;
};

}  // namespace fskit
