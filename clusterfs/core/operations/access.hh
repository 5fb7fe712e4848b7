// What every operation begins with: the lock, the inode, and whether it is the one that was meant.
#pragma once

#include <string_view>

#include "base/error.hh"
#include "clusterfs/core/inode.hh"
#include "clusterfs/core/operations/attributes.hh"
#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs::operations {

// Errc::stale_inode when another generation lives under that number.
base::Result<const Inode*> lock_and_read(View& view, InodeReference reference, LockMode mode);
// The same with the exclusive lock, for changing; nothing is copied before room in the journal was asked for.
base::Result<Inode*> lock_and_modify(View& view, InodeReference reference);
// A directory that still has a name: ENOTDIR, ENOENT.
base::Result<const Inode*> lock_directory(View& view, InodeReference reference, LockMode mode);
// EISDIR for directories, EINVAL for what else is not a regular file.
base::Result<void> require_regular(const Inode& inode);

Attributes attributes_of(const Inode& inode);
inline InodeReference reference_of(const Inode& inode) { return {inode.header.number, inode.generation}; }
inline std::uint8_t entry_type_of(std::uint32_t mode) { return static_cast<std::uint8_t>(mode >> 12 & 15); }

// Device numbers as dev_t has them, and as inodes keep them (major << 32 | minor).
std::uint64_t stored_device(std::uint64_t device);
std::uint64_t device_of(std::uint64_t stored);

// ENAMETOOLONG, EINVAL; of "." and ".." `dots`.
base::Result<void> check_name(std::string_view name, std::errc dots);

// suid, and sgid where the group may execute, and file capabilities: a write or a change of owner takes them away.
base::Result<void> drop_privileges(View& view, InodeNumber inode);

}  // namespace clusterfs::operations
