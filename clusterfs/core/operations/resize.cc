#include "clusterfs/core/operations/resize.hh"

#include <algorithm>

#include "clusterfs/core/error.hh"
#include "clusterfs/core/extent_map.hh"
#include "clusterfs/core/operations/access.hh"
#include "clusterfs/core/operations/write_steps.hh"

namespace clusterfs::operations {
namespace {

ResizeStep finished(const Inode& inode) { return {true, std::nullopt, attributes_of(inode), false}; }

base::Result<Inode*> prepare(View& view, InodeReference reference) {
    BASE_ASSIGN(const auto* found, lock_and_read(view, reference, LockMode::exclusive));
    BASE_TRY(require_regular(*found));
    BASE_TRY(view.will_change());
    return modify_inode(view, reference.number);
}

base::Result<void> set_size(View& view, Inode& inode, std::uint64_t size, bool clear_set_ids) {
    inode.size = size;
    touch_modified(view, inode);
    if (clear_set_ids) BASE_TRY(drop_privileges(view, inode.header.number));
    return {};
}

// An empty file keeps its data in the inode again.
void become_inline(Inode& inode) {
    if (inode.size != 0 || inode.content != Content::extents || root_of(inode).count != 0) return;
    inode.content = Content::data;
    std::ranges::fill(content_of(inode), std::byte{0});
}

base::Result<ResizeStep> free_behind_end(View& view, Inode& inode) {
    const auto end = blocks_for(inode.size);
    BASE_ASSIGN(const bool freed, punch_range(view, inode.header.number, end, max_file_blocks - end));
    if (!freed) return ResizeStep{false, std::nullopt, {}, true};
    become_inline(inode);
    return finished(inode);
}

base::Result<ResizeStep> with_work(View& view, const Inode& inode, WritePlan work) {
    if (work.pins.empty()) {
        work.pins = {inode_lock(inode.header.number)};
        BASE_TRY(view.pin(work.pins.front(), LockMode::exclusive));
    }
    return ResizeStep{false, std::move(work), {}, false};
}

// Nothing when the file may grow now; else what has to be done before.
base::Result<std::optional<ResizeStep>> before_growth(View& view, const Inode& inode, unsigned zeroed) {
    BASE_ASSIGN(const bool clean, free_leftovers(view, inode));
    if (!clean) return ResizeStep{};
    if (zeroed > 0) return std::nullopt;
    BASE_ASSIGN(const auto tail, stale_tail(view, inode));
    if (!tail) return std::nullopt;
    WritePlan work;
    work.offset = inode.size;
    work.before = tail;
    return with_work(view, inode, std::move(work));
}

// Inline content that is to become extents: work when there is any.
base::Result<std::optional<ResizeStep>> leave_inode(View& view, const Inode& inode) {
    if (inode.content != Content::data) return std::nullopt;
    if (inode.size == 0) {
        BASE_TRY(make_extents(view, inode.header.number));
        return std::nullopt;
    }
    BASE_ASSIGN(auto work, begin_staging(view, inode));
    return with_work(view, inode, std::move(work));
}

// The bytes of [offset, end) within one block, to become zeros; nothing where they are zeros already.
base::Result<std::optional<WritePlan>> zero_in_block(View& view, const Inode& inode, std::uint64_t offset,
                                                     std::uint64_t end) {
    const auto file_block = offset / block_size;
    BASE_ASSIGN(const auto mapping, map_block(view, inode.header.number, file_block, 1));
    if (mapping.is_hole() || mapping.unwritten) return std::nullopt;
    WritePlan work;
    work.zeros = true;
    work.offset = offset;
    work.length = end - offset;
    BASE_TRY(plan_blocks(view, inode, work));
    return work;
}

struct Span {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

// The parts of blocks at the ends of a hole.
std::vector<Span> edges_of(std::uint64_t offset, std::uint64_t end) {
    std::vector<Span> edges;
    const auto first_end = blocks_for(offset) * block_size;
    const auto last_begin = end / block_size * block_size;
    if (offset % block_size != 0) edges.push_back({offset, std::min(end, first_end)});
    if (end % block_size != 0 && last_begin >= first_end) edges.push_back({last_begin, end});
    return edges;
}

base::Result<ResizeStep> punch_inline(View& view, Inode& inode, std::uint64_t offset, std::uint64_t end) {
    const auto until = std::min(end, inode.size);
    if (offset < until) std::ranges::fill(content_of(inode).subspan(offset, until - offset), std::byte{0});
    touch_modified(view, inode);
    return finished(inode);
}

base::Result<void> check_range(std::uint64_t offset, std::uint64_t length) {
    if (length == 0) return base::failure(std::errc::invalid_argument);
    if (offset > max_file_size || length > max_file_size - offset) return base::failure(std::errc::file_too_large);
    return {};
}

base::Result<ResizeStep> allocate_blocks(View& view, Inode& inode, std::uint64_t offset, std::uint64_t end,
                                         Preallocation mode) {
    const auto first = offset / block_size;
    const auto count = blocks_for(end) - first;
    const auto before = inode.blocks;
    BASE_ASSIGN(const auto allocated, allocate_range(view, inode.header.number, first, count));
    if (allocated < count) {
        if (inode.blocks == before) return base::failure(std::errc::no_space_on_device);
        return ResizeStep{};
    }
    if (mode == Preallocation::change_size && end > inode.size) {
        BASE_TRY(set_size(view, inode, end, false));
    } else {
        touch_changed(view, inode);
    }
    return finished(inode);
}

}  // namespace

base::Result<ResizeStep> resize(View& view, InodeReference reference, std::uint64_t size, bool clear_set_ids,
                                unsigned zeroed, bool shortened) {
    if (size > max_file_size) return base::failure(std::errc::file_too_large);
    BASE_ASSIGN(auto* inode, prepare(view, reference));
    // Another node has changed the file since it was shortened: it has freed the rest, and what it wrote stays.
    if (shortened && inode->size != size) return finished(*inode);
    if (shortened && inode->content == Content::extents) return free_behind_end(view, *inode);
    if (inode->content == Content::data && size <= inode->content_capacity()) {
        resize_inline(*inode, size);
        BASE_TRY(set_size(view, *inode, size, clear_set_ids));
        return finished(*inode);
    }
    BASE_ASSIGN(auto leaving, leave_inode(view, *inode));
    if (leaving) return *std::move(leaving);
    if (size <= inode->size) {
        BASE_TRY(set_size(view, *inode, size, clear_set_ids));
        return free_behind_end(view, *inode);
    }
    BASE_ASSIGN(auto first, before_growth(view, *inode, zeroed));
    if (first) return *std::move(first);
    BASE_TRY(set_size(view, *inode, size, clear_set_ids));
    return finished(*inode);
}

base::Result<ResizeStep> preallocate(View& view, InodeReference reference, std::uint64_t offset, std::uint64_t length,
                                     Preallocation mode, unsigned zeroed) {
    BASE_TRY(check_range(offset, length));
    BASE_ASSIGN(auto* inode, prepare(view, reference));
    const auto end = offset + length;
    if (inode->content == Content::data && end <= inode->content_capacity()) {
        if (mode == Preallocation::change_size && end > inode->size) {
            resize_inline(*inode, end);
            touch_modified(view, *inode);
        }
        return finished(*inode);
    }
    BASE_ASSIGN(auto leaving, leave_inode(view, *inode));
    if (leaving) return *std::move(leaving);
    if (end > inode->size) {
        BASE_ASSIGN(auto first, before_growth(view, *inode, zeroed));
        if (first) return *std::move(first);
    }
    return allocate_blocks(view, *inode, offset, end, mode);
}

base::Result<ResizeStep> punch_hole(View& view, InodeReference reference, std::uint64_t offset, std::uint64_t length,
                                    unsigned zeroed) {
    BASE_TRY(check_range(offset, length));
    BASE_ASSIGN(auto* inode, prepare(view, reference));
    const auto end = offset + length;
    if (inode->content == Content::data) return punch_inline(view, *inode, offset, end);
    const auto edges = edges_of(offset, end);
    for (std::size_t i = zeroed; i < edges.size(); ++i) {
        BASE_ASSIGN(auto work, zero_in_block(view, *inode, edges[i].begin, edges[i].end));
        if (work) return with_work(view, *inode, *std::move(work));
    }
    const auto first = blocks_for(offset);
    const auto last = end / block_size;
    if (last > first) {
        BASE_ASSIGN(const bool freed, punch_range(view, reference.number, first, last - first));
        if (!freed) return ResizeStep{};
    }
    touch_modified(view, *inode);
    return finished(*inode);
}

base::Result<std::uint64_t> seek(View& view, InodeReference reference, std::uint64_t offset, SeekFor what) {
    BASE_ASSIGN(const auto* inode, lock_and_read(view, reference, LockMode::shared));
    BASE_TRY(require_regular(*inode));
    if (offset >= inode->size) return base::failure(std::errc::no_such_device_or_address);
    if (inode->content == Content::data) return what == SeekFor::data ? offset : inode->size;
    const auto end = blocks_for(inode->size);
    for (auto next = offset / block_size; next < end;) {
        BASE_ASSIGN(const auto mapping, map_block(view, reference.number, next, end - next));
        const bool data = !mapping.is_hole() && !mapping.unwritten;
        if (data == (what == SeekFor::data)) return std::max(offset, next * block_size);
        next += mapping.count;
    }
    if (what == SeekFor::data) return base::failure(std::errc::no_such_device_or_address);
    return inode->size;
}

}  // namespace clusterfs::operations
