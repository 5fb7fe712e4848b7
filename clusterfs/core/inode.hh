// Inodes over a view. The inode's lock must be held where an inode is read, exclusively where it is changed.
#pragma once

#include <cstdint>

#include "clusterfs/core/allocator.hh"
#include "clusterfs/core/view.hh"
#include "clusterfs/format/inode.hh"

namespace clusterfs {

// Checked: every length and count is within the block. A freed inode is Errc::stale_inode.
[[nodiscard]] base::Result<const Inode*> read_inode(View& view, InodeNumber number);
[[nodiscard]] base::Result<Inode*> modify_inode(View& view, InodeNumber number);

struct NewInode {
    std::uint32_t mode = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint64_t device = 0;
    InodeNumber parent = 0;  // of directories, else 0
    BlockNumber goal = 0;    // the directory it will be in
};
// Where an inode will be: allocated, so that its lock can be asked for; nothing is written there yet. The lock of a
// number that nobody has is granted at once; it must be asked for and be held before create_inode().
[[nodiscard]] base::Result<InodeNumber> allocate_inode(View& view, BlockNumber goal);
// Fills in an allocated inode: links 1 (2 for a directory), all times now, empty inline content for regular files,
// symbolic links and directories.
[[nodiscard]] base::Result<Inode*> create_inode(View& view, InodeNumber number, const NewInode& attributes);
// The last step of deleting: content and xattr block must be gone (free_content). Marks the block deleted and frees it.
[[nodiscard]] base::Result<void> free_inode(View& view, InodeNumber number);
// Frees a part of what an inode without links owns: data, tree, leaves, xattr block. True when all of it is gone; else
// run it again in an operation of its own.
[[nodiscard]] base::Result<bool> free_content(View& view, InodeNumber number);

// A metadata block that belongs to an inode: allocated near it, created, counted in Inode::blocks.
struct OwnedBlock {
    BlockNumber number = 0;
    Block* block = nullptr;
};
[[nodiscard]] base::Result<OwnedBlock> create_owned_block(View& view, InodeNumber owner, BlockType type,
                                                          Purpose purpose);
[[nodiscard]] base::Result<void> release_owned_block(View& view, InodeNumber owner, BlockNumber number);

// Modified, changed and the change counter.
void touch_modified(const View& view, Inode& inode);
// Changed and the change counter.
void touch_changed(const View& view, Inode& inode);

}  // namespace clusterfs
