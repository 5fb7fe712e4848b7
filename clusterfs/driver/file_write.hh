// Writing file data: where it goes, says an operation; the bytes go to the device; then another operation makes them
// part of the file.
#pragma once

#include <functional>
#include <memory>

#include "clusterfs/core/operations/file_data.hh"
#include "clusterfs/driver/filesystem.hh"
#include "clusterfs/driver/io_buffer.hh"

namespace clusterfs {

struct FileWriteRequest {
    std::shared_ptr<OpenInode> shared;
    operations::InodeReference inode;
    std::uint64_t offset = 0;
    bool append = false;
    bool buffered = false;  // it came through the kernel's pages, which stay locked until it is answered
    bool clear_set_ids = false;
    bool stable = false;                   // O_SYNC, O_DSYNC: durable before it is answered
    std::shared_ptr<const IoBuffer> data;  // as of IoBufferPool::copy()
};

// How much was written (less than all only for want of space or after an error), or why nothing was.
using WriteDone = std::function<void(base::Result<std::uint64_t>)>;

void write_file(Filesystem& filesystem, FileWriteRequest request, WriteDone done);

}  // namespace clusterfs
