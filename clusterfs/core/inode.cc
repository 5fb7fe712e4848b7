#include "clusterfs/core/inode.hh"

#include <algorithm>
#include <cstring>
#include <string>

#include "clusterfs/core/error.hh"
#include "clusterfs/core/extent_map.hh"
#include "clusterfs/core/tree.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs {
namespace {

// An operation stops freeing leaves here, well below max_operation_blocks.
constexpr std::size_t enough_changed_blocks = 150;

base::Result<void> check_inode(const Inode& inode, std::uint64_t device_blocks) {
    if ((inode.flags & inode_deleted) != 0) {
        return base::failure(Errc::stale_inode, "inode " + std::to_string(inode.header.number));
    }
    if (const auto* fault = fault_in(inode, device_blocks)) {
        return base::failure(Errc::corrupted, "inode " + std::to_string(inode.header.number) + ": " + fault);
    }
    return {};
}

Content empty_content(std::uint32_t mode) {
    switch (type_of_mode(mode)) {
        case mode_regular:
        case mode_symlink:
            return Content::data;
        case mode_directory:
            return Content::directory;
        default:
            return Content::none;
    }
}

void empty_inline(Inode& inode) {
    inode.content = empty_content(inode.mode);
    inode.content_bytes = 0;
    inode.size = 0;
    inode.entries = 0;
    std::ranges::fill(content_of(inode), std::byte{0});
}

// Frees leaves of a hashed directory, the first ones first, as many as one operation may.
base::Result<bool> free_leaves(View& view, InodeNumber number) {
    while (true) {
        BASE_ASSIGN(const auto leaf, tree_at_or_after(view, number, 0));
        if (!leaf) return true;
        const bool began = !view.transaction().freed.empty();
        const bool elsewhere = view.source().held(group_lock_of(view.superblock(), leaf->value)) != LockMode::exclusive;
        if (began && (elsewhere || view.transaction().blocks.size() > enough_changed_blocks)) return false;
        BASE_TRY(tree_erase(view, number, leaf->key));
        BASE_TRY(release_owned_block(view, number, leaf->value));
    }
}

}  // namespace

base::Result<const Inode*> read_inode(View& view, InodeNumber number) {
    BASE_ASSIGN(const auto* block, view.block(number, inode_lock(number), BlockType::inode));
    const auto& inode = block->as<Inode>();
    BASE_TRY(check_inode(inode, view.superblock().block_count));
    return &inode;
}

base::Result<Inode*> modify_inode(View& view, InodeNumber number) {
    BASE_ASSIGN(auto* block, view.modify(number, inode_lock(number), BlockType::inode));
    auto& inode = block->as<Inode>();
    BASE_TRY(check_inode(inode, view.superblock().block_count));
    return &inode;
}

base::Result<InodeNumber> allocate_inode(View& view, BlockNumber goal) {
    BASE_ASSIGN(const auto range, allocate(view, Purpose::metadata, 1, goal));
    return range.first;
}

base::Result<Inode*> create_inode(View& view, InodeNumber number, const NewInode& attributes) {
    BASE_ASSIGN(auto* block, view.create(number, inode_lock(number), BlockType::inode, number));
    auto& inode = block->as<Inode>();
    const auto now = view.now().nanoseconds;
    inode.generation = static_cast<std::uint64_t>(now) | 1;
    inode.mode = attributes.mode;
    inode.uid = attributes.uid;
    inode.gid = attributes.gid;
    inode.device = attributes.device;
    inode.parent = attributes.parent;
    inode.links = type_of_mode(attributes.mode) == mode_directory ? 2 : 1;
    inode.accessed = inode.modified = inode.changed = inode.born = now;
    inode.change = 1;
    empty_inline(inode);
    return &inode;
}

base::Result<bool> free_content(View& view, InodeNumber number) {
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    if (inode->content == Content::extents) {
        BASE_ASSIGN(const bool done, punch_range(view, number, 0, max_file_blocks));
        if (!done) return false;
    } else if (inode->content == Content::directory_tree) {
        BASE_ASSIGN(const bool done, free_leaves(view, number));
        if (!done) return false;
    }
    if (is_tree(inode->content) || inode->size != 0 || inode->content_bytes != 0) empty_inline(*inode);
    if (inode->xattr_block != 0) {
        BASE_TRY(release_owned_block(view, number, inode->xattr_block));
        inode->xattr_block = 0;
    }
    return true;
}

base::Result<void> free_inode(View& view, InodeNumber number) {
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    if (is_tree(inode->content) || inode->xattr_block != 0) {
        return base::failure(Errc::corrupted, "inode " + std::to_string(number) + " is freed with its content");
    }
    BASE_TRY(release(view, {number, 1}, Purpose::metadata));
    inode->mode = 0;
    inode->links = 0;
    inode->flags = inode_deleted;
    inode->content = Content::none;
    inode->content_bytes = 0;
    inode->size = 0;
    inode->xattr_bytes = 0;
    return {};
}

base::Result<OwnedBlock> create_owned_block(View& view, InodeNumber owner, BlockType type, Purpose purpose) {
    BASE_ASSIGN(auto* inode, modify_inode(view, owner));
    BASE_ASSIGN(const auto range, allocate(view, purpose, 1, owner));
    BASE_ASSIGN(auto* block, view.create(range.first, inode_lock(owner), type, owner));
    ++inode->blocks;
    return OwnedBlock{range.first, block};
}

base::Result<void> release_owned_block(View& view, InodeNumber owner, BlockNumber number) {
    BASE_ASSIGN(auto* inode, modify_inode(view, owner));
    if (inode->blocks == 0) {
        return base::failure(Errc::corrupted, "inode " + std::to_string(owner) + " owns more blocks than it counts");
    }
    BASE_TRY(release(view, {number, 1}, Purpose::metadata));
    --inode->blocks;
    return {};
}

void touch_modified(const View& view, Inode& inode) {
    inode.modified = view.now().nanoseconds;
    touch_changed(view, inode);
}

void touch_changed(const View& view, Inode& inode) {
    inode.changed = view.now().nanoseconds;
    ++inode.change;
}

}  // namespace clusterfs
