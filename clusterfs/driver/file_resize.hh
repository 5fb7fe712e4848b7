// truncate, fallocate and punching holes: operations in steps, with blocks zeroed in between.
#pragma once

#include <functional>
#include <memory>

#include "clusterfs/core/operations/resize.hh"
#include "clusterfs/driver/filesystem.hh"

namespace clusterfs {

using Resized = std::function<void(base::Result<operations::Attributes>)>;

void resize_file(Filesystem& filesystem, std::shared_ptr<OpenInode> shared, operations::InodeReference inode,
                 std::uint64_t size, bool clear_set_ids, Resized done);
void preallocate_file(Filesystem& filesystem, std::shared_ptr<OpenInode> shared, operations::InodeReference inode,
                      std::uint64_t offset, std::uint64_t length, operations::Preallocation mode, Resized done);
void punch_hole_in_file(Filesystem& filesystem, std::shared_ptr<OpenInode> shared, operations::InodeReference inode,
                        std::uint64_t offset, std::uint64_t length, Resized done);

}  // namespace clusterfs
