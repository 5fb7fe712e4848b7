// open and release of inodes, and what becomes of those that have no name any more.
//
// While a node has an inode open it holds O<inode> shared and pinned. An inode that lost its last name goes to the
// orphan directory of the slot that took the name; whoever gets O<inode> exclusively deletes it.
#pragma once

#include <vector>

#include "base/error.hh"
#include "clusterfs/core/operations/attributes.hh"
#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs::operations {

// Pins open_lock(inode): every success is followed by one Mount::close(inode) at release, after which, if that says so
// and the inode has no links, delete_orphan() is run. Directories too. O_TRUNC: then run resize() to 0.
base::Result<Attributes> open(View& view, InodeReference inode);

inline LockName open_lock(InodeNumber inode) { return {LockType::open, inode}; }

enum class Deletion {
    done,    // it is gone; where it was gone before, this or the error Errc::stale_inode
    more,    // a part was freed: run again
    in_use,  // somebody has it open: the last one that closes it deletes it
    linked,  // it has a name (again): nothing to do
};
// One bounded step of deleting an inode without links.
base::Result<Deletion> delete_orphan(View& view, InodeReference inode);

// Up to `limit` inodes on the orphan list of a slot, in the list's own order, behind that of number `after` (0: from
// the start): for delete_orphan() after a mount (one's own slot) and after the replay of a dead node's journal (its
// slot).
base::Result<std::vector<InodeReference>> list_orphans(View& view, std::uint32_t slot, InodeNumber after,
                                                       std::size_t limit);

}  // namespace clusterfs::operations
