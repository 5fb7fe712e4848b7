// getattr, setattr, access times.
#pragma once

#include <cstdint>
#include <optional>

#include "base/error.hh"
#include "base/time.hh"
#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs::operations {

// What stat shows.
struct Attributes {
    InodeNumber inode = 0;
    std::uint64_t generation = 0;
    std::uint32_t mode = 0;  // type and permissions, as in struct stat
    std::uint32_t links = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint64_t device = 0;  // dev_t of device nodes
    std::uint64_t size = 0;
    std::uint64_t blocks = 0;  // of 4 KiB, data and metadata without the inode itself
    base::WallTime accessed;
    base::WallTime modified;
    base::WallTime changed;

    bool is_directory() const;
    bool is_regular() const;
};

base::Result<Attributes> get_attributes(View& view, InodeReference inode);

// Only what is set changes. Times set to the view's now: set_access_now, set_modification_now.
struct AttributeChange {
    std::optional<std::uint32_t> permissions;  // 07777
    std::optional<std::uint32_t> uid;
    std::optional<std::uint32_t> gid;
    std::optional<base::WallTime> accessed;
    std::optional<base::WallTime> modified;
    bool set_access_now = false;
    bool set_modification_now = false;
    // The caller may not keep suid and sgid through a change of owner or size (FATTR_KILL_SUIDGID); a change of owner
    // clears them anyway.
    bool clear_set_ids = false;
};

// chmod, chown, utimens. Sizes are changed by resize() (operations/resize.hh). Where the file has an access ACL, a
// change of permissions is written into it (the mask is the group's bits).
base::Result<Attributes> set_attributes(View& view, InodeReference inode, const AttributeChange& change);

enum class AccessTimePolicy { never, relative, strict };

// Whether a read now has to be noted; looks only at what is cached.
bool access_time_due(const Attributes& attributes, AccessTimePolicy policy, base::WallTime now);
// Sets the access time if it is due, and, where that takes the exclusive lock away from another node, not more often
// than once a minute. A read does not wait for this: run it after the reply.
base::Result<void> note_access(View& view, InodeReference inode, AccessTimePolicy policy);

}  // namespace clusterfs::operations
