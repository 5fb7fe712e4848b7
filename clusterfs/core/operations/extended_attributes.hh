// xattrs. Who may touch which namespace was decided by the kernel; names are taken whole ("user.x").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hh"
#include "base/error.hh"
#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs::operations {

enum class XattrMode { create_or_replace, create_only, replace_only };

// ENODATA.
base::Result<base::Bytes> get_xattr(View& view, InodeReference inode, std::string_view name);
// EEXIST, ENODATA, ERANGE for a name that is empty or too long, E2BIG for a value larger than 64 KiB, ENOSPC for one
// that finds no room in inode and xattr block.
base::Result<void> set_xattr(View& view, InodeReference inode, std::string_view name, base::ByteView value,
                             XattrMode mode);
base::Result<std::vector<std::string>> list_xattrs(View& view, InodeReference inode);
base::Result<void> remove_xattr(View& view, InodeReference inode, std::string_view name);

}  // namespace clusterfs::operations
