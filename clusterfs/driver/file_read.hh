// Reading file data: where it is, says an operation; the bytes go from the device to whoever asked.
#pragma once

#include <functional>
#include <memory>

#include "clusterfs/core/operations/file_data.hh"
#include "clusterfs/driver/filesystem.hh"
#include "clusterfs/driver/io_buffer.hh"

namespace clusterfs {

// `bytes` are valid during the call only.
using ReadDone = std::function<void(base::Result<base::ByteView> bytes)>;

// `cached`: the kernel will keep what it gets.
void read_file(Filesystem& filesystem, std::shared_ptr<OpenInode> shared, operations::InodeReference inode,
               std::uint64_t offset, std::uint64_t length, bool cached, ReadDone done);

}  // namespace clusterfs
