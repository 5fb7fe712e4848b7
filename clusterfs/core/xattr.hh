// Extended attributes of inodes, over a view with the inode's lock held (exclusively for changes): in the inode as long
// as they fit beside its content, else in its one xattr block. Names are full ("user.x") and were checked.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs {

[[nodiscard]] base::Result<std::optional<base::Bytes>> find_xattr(View& view, InodeNumber inode, std::string_view name);
// Adds or replaces. ENOSPC when it fits neither in the inode nor in the xattr block, or there is no block to be had.
[[nodiscard]] base::Result<void> put_xattr(View& view, InodeNumber inode, std::string_view name, base::ByteView value);
// False: there was none of that name. Never needs space.
[[nodiscard]] base::Result<bool> erase_xattr(View& view, InodeNumber inode, std::string_view name);
[[nodiscard]] base::Result<std::vector<std::string>> xattr_names(View& view, InodeNumber inode);

}  // namespace clusterfs
