// The device's side of file operations, done at once: what the driver does around begin_read, begin_write and resize.
#pragma once

#include <string>
#include <string_view>

#include "clusterfs/core/operations/file_data.hh"
#include "clusterfs/core/operations/resize.hh"
#include "tests/unit/clusterfs_operations/memory_cluster.hh"

namespace clusterfs::test {

base::Result<std::string> read_file(MemoryNode& node, MemoryCluster& cluster, operations::InodeReference inode,
                                    std::uint64_t offset, std::uint64_t length);
// How many bytes were written: fewer when the device became full.
base::Result<std::uint64_t> write_file(MemoryNode& node, MemoryCluster& cluster, operations::InodeReference inode,
                                       std::uint64_t offset, std::string_view data, bool append = false);
// Carries out the steps of resize(), preallocate() or punch_hole(); `operation` is called with the view and `zeroed`.
using ResizeOperation = std::function<base::Result<operations::ResizeStep>(View&, unsigned zeroed)>;
base::Result<void> carry_out(MemoryNode& node, MemoryCluster& cluster, operations::InodeReference inode,
                             const ResizeOperation& operation);
base::Result<void> truncate_file(MemoryNode& node, MemoryCluster& cluster, operations::InodeReference inode,
                                 std::uint64_t size);

}  // namespace clusterfs::test
