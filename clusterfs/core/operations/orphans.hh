// Inodes that lost their last name: entries of the orphan directories.
#pragma once

#include <string>

#include "base/error.hh"
#include "clusterfs/core/inode.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs::operations {

// The name of an inode in an orphan directory: its number in hexadecimal.
std::string orphan_name(InodeNumber inode);

// Puts an inode without links (its exclusive lock is held) on this node's list. Works on a full filesystem.
base::Result<void> add_orphan(View& view, InodeNumber inode);
// Takes it off the list it is on.
base::Result<void> remove_orphan(View& view, InodeNumber inode);

// What becomes of an inode whose last name was just removed: deleted at once where nobody has it open and that is
// little work, else put on the list. True: it waits there.
base::Result<bool> lose_last_name(View& view, InodeNumber inode);

}  // namespace clusterfs::operations
