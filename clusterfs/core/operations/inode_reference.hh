// How operations name an inode, and who asks.
#pragma once

#include <cstdint>

#include "clusterfs/core/block.hh"

namespace clusterfs::operations {

// An inode as it was handed out. A number may be used again after its file was deleted; the generation tells. With
// generation 0 any inode in use under that number is meant. An operation on a deleted inode fails with
// Errc::stale_inode.
struct InodeReference {
    InodeNumber number = 0;
    std::uint64_t generation = 0;
};

// Who asks. Permissions are checked by the kernel (default_permissions) before an operation is run.
struct Caller {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t umask = 0;  // applied where the directory has no default ACL
};

}  // namespace clusterfs::operations
