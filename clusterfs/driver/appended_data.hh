// What was appended to files and answered, but may not be on the device yet: pieces of less than a block in
// `DirtyTails`, whole blocks in `BlocksUnderWay`. Both become part of the file at once (finish_write), so whoever looks
// at the device has it written out first, and so does every flush that the mount asks for (README, "How a request
// runs").
#pragma once

#include "base/block_device.hh"
#include "clusterfs/driver/blocks_under_way.hh"
#include "clusterfs/driver/dirty_tails.hh"

namespace clusterfs {

class AppendedData {
  public:
    using Done = std::function<void(base::Result<void>)>;

    AppendedData(base::BlockDevice& device, IoBufferPool& buffers) : tails_(device, buffers), blocks_(device) {}

    // Any thread, each; `done` runs on this one or another. Has what is here of that file, or of all, on the device.
    void write_out(InodeNumber inode, Done done);
    void write_out_all(Done done);
    // The same, and nothing is here afterwards. Only by who may write to the file now (OpenInode::enter).
    void clear(InodeNumber inode, Done done);

    DirtyTails& tails() { return tails_; }
    BlocksUnderWay& blocks() { return blocks_; }

  private:
    DirtyTails tails_;
    BlocksUnderWay blocks_;
};

}  // namespace clusterfs
