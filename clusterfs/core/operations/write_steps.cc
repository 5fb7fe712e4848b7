#include "clusterfs/core/operations/write_steps.hh"

#include <algorithm>

#include "clusterfs/core/error.hh"
#include "clusterfs/core/extent_map.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/core/operations/orphans.hh"
#include "clusterfs/core/tree.hh"

namespace clusterfs::operations {
namespace {

// The first block at or behind `from` that is on the device and was written.
base::Result<bool> any_written(View& view, InodeNumber inode, std::uint64_t from) {
    while (from < max_file_blocks) {
        BASE_ASSIGN(const auto mapping, map_block(view, inode, from, max_file_blocks - from));
        if (!mapping.is_hole() && !mapping.unwritten) return true;
        from += mapping.count;
    }
    return false;
}

std::uint32_t bytes_of_block(std::uint64_t file_block, std::uint64_t size) {
    const auto start = file_block * block_size;
    return size <= start ? 0 : static_cast<std::uint32_t>(std::min<std::uint64_t>(size - start, block_size));
}

// Notes the block as partial where the new bytes do not fill it.
void note_partial(WritePlan& plan, const Mapping& mapping, std::uint64_t file_block, std::uint64_t size) {
    const auto start = file_block * block_size;
    const auto begin = static_cast<std::uint32_t>(std::max(plan.offset, start) - start);
    const auto end = static_cast<std::uint32_t>(std::min(plan.offset + plan.length, start + block_size) - start);
    if (begin == 0 && end == block_size) return;
    const auto valid = mapping.unwritten ? 0 : bytes_of_block(file_block, size);
    plan.partial.push_back({file_block, mapping.disk_block + (file_block - mapping.file_block), begin, end, valid});
}

}  // namespace

base::Result<bool> free_leftovers(View& view, const Inode& inode) {
    const auto number = inode.header.number;
    const auto end = blocks_for(inode.size);
    BASE_ASSIGN(const bool left, any_written(view, number, end));
    if (!left) return true;
    return punch_range(view, number, end, max_file_blocks - end);
}

base::Result<std::optional<PartialBlock>> stale_tail(View& view, const Inode& inode) {
    const auto used = static_cast<std::uint32_t>(inode.size % block_size);
    if (used == 0) return std::nullopt;
    const auto file_block = inode.size / block_size;
    BASE_ASSIGN(const auto mapping, map_block(view, inode.header.number, file_block, 1));
    if (mapping.is_hole() || mapping.unwritten) return std::nullopt;
    return PartialBlock{file_block, mapping.disk_block, used, used, used};
}

base::Result<WritePlan> begin_staging(View& view, const Inode& inode) {
    const auto number = inode.header.number;
    const auto content = content_of(inode).first(inode.size);
    BASE_ASSIGN(const auto staging, allocate_inode(view, number));
    BASE_TRY(view.lock({{inode_lock(staging), LockMode::exclusive}, {open_lock(staging), LockMode::shared}}));
    clusterfs::NewInode attributes;
    attributes.mode = mode_regular;
    attributes.uid = inode.uid;
    attributes.gid = inode.gid;
    BASE_ASSIGN(auto* orphan, create_inode(view, staging, attributes));
    orphan->links = 0;
    BASE_TRY(make_extents(view, staging));
    BASE_TRY(allocate_range(view, staging, 0, 1));
    BASE_TRY(add_orphan(view, staging));
    BASE_ASSIGN(const auto mapping, map_block(view, staging, 0, 1));
    WritePlan plan;
    plan.staging = staging;
    plan.inline_content.assign(content.begin(), content.end());
    const auto used = static_cast<std::uint32_t>(content.size());
    plan.before = PartialBlock{0, mapping.disk_block, used, used, used};
    plan.pins = {inode_lock(number), open_lock(staging)};
    BASE_TRY(view.pin(inode_lock(number), LockMode::exclusive));
    BASE_TRY(view.pin(open_lock(staging), LockMode::shared));
    return plan;
}

base::Result<void> finish_staging(View& view, InodeNumber number, InodeNumber staging) {
    BASE_TRY(view.lock(inode_lock(staging), LockMode::exclusive));
    BASE_ASSIGN(const auto mapping, map_block(view, staging, 0, 1));
    if (mapping.is_hole()) return base::failure(Errc::corrupted, "a staging inode lost its block");
    BASE_TRY(tree_erase(view, staging, 0));
    BASE_ASSIGN(auto* orphan, modify_inode(view, staging));
    --orphan->blocks;
    BASE_TRY(make_extents(view, number));
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    ++inode->blocks;
    BASE_TRY(tree_insert(view, number, {0, mapping.disk_block, 1, 0}, Purpose::metadata));
    BASE_ASSIGN(const bool empty, free_content(view, staging));
    if (!empty) return base::failure(Errc::corrupted, "a staging inode owns more than its block");
    BASE_TRY(remove_orphan(view, staging));
    return free_inode(view, staging);
}

base::Result<void> plan_blocks(View& view, const Inode& inode, WritePlan& plan) {
    const auto number = inode.header.number;
    const auto first = plan.offset / block_size;
    const auto end = blocks_for(plan.offset + plan.length);
    for (auto next = first; next < end;) {
        BASE_ASSIGN(const auto mapping, map_block(view, number, next, end - next));
        if (mapping.is_hole()) return base::failure(Errc::corrupted, "allocated blocks are a hole");
        plan.has_unwritten |= mapping.unwritten;
        plan.segments.push_back({next, mapping.disk_block, mapping.count});
        if (next == first) note_partial(plan, mapping, first, inode.size);
        next += mapping.count;
        if (next == end && end - 1 != first) note_partial(plan, mapping, end - 1, inode.size);
    }
    return {};
}

void resize_inline(Inode& inode, std::uint64_t size) {
    const auto content = content_of(inode);
    std::ranges::fill(content.subspan(std::min(inode.size, size)), std::byte{0});
    inode.size = size;
}

void write_inline(Inode& inode, std::uint64_t offset, base::ByteView data) {
    const auto end = offset + data.size();
    if (end > inode.size) resize_inline(inode, end);
    base::copy_bytes(data, content_of(inode).subspan(offset));
}

}  // namespace clusterfs::operations
