#include "clusterfs/core/operations/file_data.hh"

#include <algorithm>

#include "clusterfs/core/error.hh"
#include "clusterfs/core/extent_map.hh"
#include "clusterfs/core/operations/access.hh"
#include "clusterfs/core/operations/orphans.hh"
#include "clusterfs/core/operations/write_steps.hh"

namespace clusterfs::operations {
namespace {

base::Result<void> find_segments(View& view, InodeNumber inode, std::uint64_t offset, ReadPlan& plan) {
    const auto end = offset + plan.length;
    for (auto next = offset; next < end;) {
        const auto file_block = next / block_size;
        BASE_ASSIGN(const auto mapping, map_block(view, inode, file_block, blocks_for(end) - file_block));
        const auto until = std::min(end, (file_block + mapping.count) * block_size);
        const BlockNumber block = mapping.unwritten ? 0 : mapping.disk_block;
        auto* last = plan.segments.empty() ? nullptr : &plan.segments.back();
        if (last != nullptr && last->block == 0 && block == 0) {
            last->length += until - next;
        } else {
            plan.segments.push_back({next, until - next, block});
        }
        next = until;
    }
    return {};
}

base::Result<ReadPlan> plan_read(View& view, const Inode& inode, std::uint64_t offset, std::uint64_t length) {
    ReadPlan plan;
    if (offset >= inode.size) return plan;
    plan.length = std::min(length, inode.size - offset);
    if (inode.content == Content::data) {
        const auto bytes = content_of(inode).subspan(offset, plan.length);
        plan.is_inline = true;
        plan.inline_data.assign(bytes.begin(), bytes.end());
    } else {
        BASE_TRY(find_segments(view, inode.header.number, offset, plan));
    }
    return plan;
}

WritePlan nothing_to_write(std::uint64_t offset) {
    WritePlan plan;
    plan.done = true;
    plan.offset = offset;
    return plan;
}

base::Result<void> note_change(View& view, InodeNumber number, bool clear_set_ids) {
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    touch_modified(view, *inode);
    return clear_set_ids ? drop_privileges(view, number) : base::Result<void>{};
}

base::Result<WritePlan> write_into_inode(View& view, const WriteRequest& request, std::uint64_t offset) {
    BASE_ASSIGN(auto* inode, modify_inode(view, request.inode.number));
    write_inline(*inode, offset, request.data);
    BASE_TRY(note_change(view, request.inode.number, request.clear_set_ids));
    auto plan = nothing_to_write(offset);
    plan.length = request.data.size();
    return plan;
}

// What is inline and does not stay so: moved to a block, together with the new bytes where they lie in the same block.
base::Result<WritePlan> move_out(View& view, const Inode& inode, std::uint64_t offset, std::uint64_t length) {
    BASE_ASSIGN(auto plan, begin_staging(view, inode));
    plan.offset = offset;
    if (offset + length > block_size) return plan;
    const auto end = static_cast<std::uint32_t>(offset + length);
    plan.length = length;
    plan.segments.push_back({0, plan.before->block, 1});
    plan.partial.push_back({0, plan.before->block, static_cast<std::uint32_t>(offset), end, plan.before->valid});
    plan.before.reset();
    return plan;
}

base::Result<WritePlan> write_to_blocks(View& view, const WriteRequest& request, std::uint64_t offset,
                                        std::uint64_t length) {
    const auto number = request.inode.number;
    BASE_ASSIGN(const auto* inode, read_inode(view, number));
    WritePlan plan;
    if (offset + length > inode->size) {
        BASE_ASSIGN(const bool clean, free_leftovers(view, *inode));
        plan.again = !clean;
        if (plan.again) return plan;
    }
    const auto first = offset / block_size;
    if (first > inode->size / block_size) {
        BASE_ASSIGN(plan.before, stale_tail(view, *inode));
    }
    BASE_ASSIGN(const auto allocated, allocate_range(view, number, first, blocks_for(offset + length) - first));
    plan.offset = offset;
    plan.length = std::min(length, (first + allocated) * block_size - offset);
    BASE_TRY(plan_blocks(view, *inode, plan));
    plan.appends =
        offset == inode->size && (plan.partial.empty() || plan.partial.front().begin == plan.partial.front().valid);
    plan.replaces_old = !plan.has_unwritten && offset + plan.length <= inode->size;
    if (plan.replaces_old) BASE_TRY(note_change(view, number, request.clear_set_ids));
    plan.pins = {inode_lock(number)};
    BASE_TRY(view.pin(inode_lock(number), LockMode::exclusive));
    return plan;
}

}  // namespace

void WritePlan::clear_old(const PartialBlock& block, base::MutableByteView image) const {
    const bool grows_over_it = block.begin == block.end;  // `before`
    const bool keeps_rest = block.needs_old() && !grows_over_it && !was_inline(block);
    const auto end = keeps_rest ? std::max(block.begin, block.valid) : image.size();
    std::fill(image.begin() + block.valid, image.begin() + static_cast<std::ptrdiff_t>(end), std::byte{0});
}

base::Result<ReadPlan> begin_read(View& view, InodeReference reference, std::uint64_t offset, std::uint64_t length,
                                  PinRead when) {
    BASE_ASSIGN(const auto* inode, lock_and_read(view, reference, LockMode::shared));
    BASE_TRY(require_regular(*inode));
    BASE_ASSIGN(auto plan, plan_read(view, *inode, offset, length));
    const bool device = std::ranges::any_of(plan.segments, [](const auto& segment) { return segment.block != 0; });
    if (!device && when == PinRead::for_the_device) return plan;
    plan.pins = {inode_lock(reference.number)};
    BASE_TRY(view.pin(inode_lock(reference.number), LockMode::shared));
    return plan;
}

base::Result<WritePlan> begin_write(View& view, const WriteRequest& request) {
    BASE_ASSIGN(const auto* inode, lock_and_read(view, request.inode, LockMode::exclusive));
    BASE_TRY(require_regular(*inode));
    BASE_TRY(view.will_change());
    const auto offset = request.append ? inode->size : request.offset;
    if (offset >= max_file_size) return base::failure(std::errc::file_too_large);
    const auto length = std::min<std::uint64_t>(request.data.size(), max_file_size - offset);
    if (length == 0) return nothing_to_write(offset);
    if (inode->content == Content::data) {
        if (std::max(inode->size, offset + length) <= inode->content_capacity()) {
            return write_into_inode(view, request, offset);
        }
        if (inode->size > 0) return move_out(view, *inode, offset, length);
        BASE_TRY(make_extents(view, request.inode.number));
    }
    return write_to_blocks(view, request, offset, length);
}

base::Result<void> finish_write(View& view, InodeReference reference, const WritePlan& plan, bool clear_set_ids) {
    if (plan.done || plan.again || plan.replaces_old) return {};
    BASE_ASSIGN(auto* inode, lock_and_modify(view, reference));
    const auto number = reference.number;
    if (plan.staging != 0) {
        BASE_TRY(finish_staging(view, number, plan.staging));
    } else if (plan.has_unwritten) {
        const auto first = plan.offset / block_size;
        BASE_TRY(mark_written(view, number, first, blocks_for(plan.offset + plan.length) - first));
    }
    if (plan.length == 0) return {};
    if (!plan.zeros) inode->size = std::max(inode->size, plan.offset + plan.length);
    return note_change(view, number, clear_set_ids);
}

base::Result<void> abandon_write(View& view, InodeReference reference, const WritePlan& plan) {
    if (plan.staging == 0) return {};
    BASE_TRY(lock_and_read(view, {plan.staging, 0}, LockMode::exclusive));
    BASE_TRY(lock_and_read(view, reference, LockMode::shared));
    BASE_TRY(view.will_change());
    BASE_ASSIGN(const bool empty, free_content(view, plan.staging));
    if (!empty) return base::failure(Errc::corrupted, "a staging inode owns more than its block");
    BASE_TRY(remove_orphan(view, plan.staging));
    return free_inode(view, plan.staging);
}

}  // namespace clusterfs::operations
