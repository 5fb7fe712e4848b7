// unlink, rmdir.
#pragma once

#include <string_view>

#include "base/error.hh"
#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs::operations {

struct Removed {
    InodeReference inode;   // what the name stood for: the kernel may be told that it lost a link
    bool orphaned = false;  // it was the last name, and the inode waits on the orphan list: run delete_orphan()
};

// EISDIR for directories.
base::Result<Removed> unlink(View& view, InodeReference directory, std::string_view name);
// ENOTDIR, ENOTEMPTY, EINVAL for ".", ENOTEMPTY for "..".
base::Result<Removed> remove_directory(View& view, InodeReference directory, std::string_view name);

}  // namespace clusterfs::operations
