// rename in all its forms.
#pragma once

#include <string_view>

#include "base/error.hh"
#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/core/operations/remove.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs::operations {

enum class RenameMode {
    replace,     // what has the new name loses it
    no_replace,  // RENAME_NOREPLACE: EEXIST
    exchange,    // RENAME_EXCHANGE: both names must exist
};

// The Removed is the file that lost its name (inode.number 0 if none did). Errors as rename(2): EINVAL when a directory
// would come to lie in itself, ENOTEMPTY, EISDIR, ENOTDIR, ENOENT, EEXIST. Two names of one inode: nothing happens.
base::Result<Removed> rename(View& view, InodeReference old_directory, std::string_view old_name,
                             InodeReference new_directory, std::string_view new_name, RenameMode mode);

}  // namespace clusterfs::operations
