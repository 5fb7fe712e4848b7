// POSIX ACLs as the kernel stores them in xattrs, and what they have to do with permission bits.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.hh"
#include "base/error.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs::operations {

inline constexpr std::string_view access_acl_name = "system.posix_acl_access";
inline constexpr std::string_view default_acl_name = "system.posix_acl_default";

struct AclEntry {
    enum Tag : std::uint16_t { user_owner = 1, user = 2, group_owner = 4, group = 8, mask = 16, other = 32 };
    std::uint16_t tag = 0;
    std::uint16_t permissions = 0;
    std::uint32_t id = 0xffffffff;
};
using Acl = std::vector<AclEntry>;

// EINVAL, EOPNOTSUPP for another version. Empty bytes are an empty ACL.
base::Result<Acl> parse_acl(base::ByteView bytes);
base::Bytes encode_acl(const Acl& acl);
// Says no more than permission bits can say.
bool is_minimal(const Acl& acl);
// The permission bits (0777) that show such an access ACL.
std::uint32_t permissions_of(const Acl& acl);
// chmod: owner, mask (or group) and other become these bits.
void set_permissions(Acl& acl, std::uint32_t mode);
// A new file under a default ACL: `acl` is limited by `mode` and the mode by the ACL, which is returned.
std::uint32_t inherit(Acl& acl, std::uint32_t mode);

// chmod of an inode that may have an access ACL.
base::Result<void> change_acl_permissions(View& view, InodeNumber inode, std::uint32_t mode);
// Gives a new inode its mode: by the directory's default ACL if it has one, else by the umask.
base::Result<void> apply_creation_mode(View& view, InodeNumber directory, InodeNumber inode, std::uint32_t umask);

}  // namespace clusterfs::operations
