#include "clusterfs/core/extent_map.hh"

#include <algorithm>
#include <string>

#include "clusterfs/core/error.hh"
#include "clusterfs/core/inode.hh"
#include "clusterfs/core/tree.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs {
namespace {

// Work stops being added to one operation here, well below max_operation_blocks.
constexpr std::size_t enough_changed_blocks = 150;
// Freeing this many blocks at once touches at most nine map blocks.
constexpr std::uint64_t largest_free = 8 * std::uint64_t{blocks_per_map};

bool enough(View& view) { return view.transaction().blocks.size() > enough_changed_blocks; }

// Can `second` be appended to `first`?
bool joins(const TreeRecord& first, const TreeRecord& second) {
    return first.end() == second.key && first.value + first.count == second.value && first.flags == second.flags &&
           std::uint64_t{first.count} + second.count <= max_extent_blocks;
}

base::Result<std::optional<TreeRecord>> extent_before(View& view, InodeNumber inode, std::uint64_t key) {
    if (key == 0) return std::optional<TreeRecord>();
    return tree_at_or_before(view, inode, key - 1);
}

// Adds an extent, joined to its neighbours where they continue each other.
base::Result<void> add_extent(View& view, InodeNumber inode, TreeRecord extent, Purpose purpose) {
    BASE_ASSIGN(const auto after, tree_at_or_after(view, inode, extent.key));
    BASE_ASSIGN(const auto before, extent_before(view, inode, extent.key));
    const bool join_after = after && joins(extent, *after);
    if (before && joins(*before, extent)) {
        auto joined = *before;
        joined.count += extent.count;
        if (join_after && joins(joined, *after)) {
            joined.count += after->count;
            BASE_TRY(tree_erase(view, inode, after->key));
        }
        return tree_replace(view, inode, before->key, joined);
    }
    if (join_after) {
        extent.count += after->count;
        return tree_replace(view, inode, after->key, extent);
    }
    return tree_insert(view, inode, extent, purpose);
}

TreeRecord part_of(const TreeRecord& extent, std::uint64_t from, std::uint64_t until) {
    return {from, extent.value + (from - extent.key), static_cast<std::uint32_t>(until - from), extent.flags};
}

// Takes [from, until) out of an extent that holds it all; what is left stays.
base::Result<void> cut_extent(View& view, InodeNumber inode, const TreeRecord& extent, std::uint64_t from,
                              std::uint64_t until) {
    const bool keep_front = from > extent.key;
    const bool keep_back = until < extent.end();
    if (keep_front) BASE_TRY(tree_replace(view, inode, extent.key, part_of(extent, extent.key, from)));
    if (!keep_back) return keep_front ? base::Result<void>() : tree_erase(view, inode, extent.key);
    const auto back = part_of(extent, until, extent.end());
    if (!keep_front) return tree_replace(view, inode, extent.key, back);
    return tree_insert(view, inode, back, Purpose::metadata_to_free);
}

base::Result<void> count_blocks(View& view, InodeNumber number, std::int64_t change) {
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    if (change < 0 && inode->blocks < static_cast<std::uint64_t>(-change)) {
        return base::failure(Errc::corrupted, "inode " + std::to_string(number) + " owns more blocks than it counts");
    }
    inode->blocks += static_cast<std::uint64_t>(change);
    return {};
}

// Where the blocks of a hole are best: behind those of the file block before it, else near the inode.
base::Result<BlockNumber> goal_for(View& view, InodeNumber inode, std::uint64_t file_block) {
    BASE_ASSIGN(const auto before, extent_before(view, inode, file_block));
    if (!before) return inode;
    const auto goal = before->value + (file_block - before->key);
    return goal < view.superblock().block_count ? goal : before->value;
}

base::Result<std::uint32_t> fill_hole(View& view, InodeNumber inode, std::uint64_t file_block, std::uint64_t count) {
    BASE_ASSIGN(const auto goal, goal_for(view, inode, file_block));
    const auto wanted = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, max_extent_blocks));
    BASE_ASSIGN(const auto range, allocate(view, Purpose::data, wanted, goal));
    const TreeRecord extent{file_block, range.first, range.count, record_unwritten};
    if (auto added = add_extent(view, inode, extent, Purpose::metadata); !added) {
        // What was filled before may still be kept: then these must not stay in use without an owner.
        const bool full = added.error().code == std::errc::no_space_on_device;
        if (full) BASE_TRY(release(view, range, Purpose::data));
        return std::unexpected(std::move(added).error());
    }
    BASE_TRY(count_blocks(view, inode, range.count));
    return range.count;
}

}  // namespace

base::Result<Mapping> map_block(View& view, InodeNumber inode, std::uint64_t file_block, std::uint64_t limit) {
    BASE_ASSIGN(const auto before, tree_at_or_before(view, inode, file_block));
    if (before && file_block < before->end()) {
        const auto skip = file_block - before->key;
        return Mapping{file_block, std::min(limit, before->count - skip), before->value + skip, before->unwritten()};
    }
    BASE_ASSIGN(const auto after, tree_at_or_after(view, inode, file_block));
    return Mapping{file_block, after ? std::min(limit, after->key - file_block) : limit, 0, false};
}

base::Result<void> make_extents(View& view, InodeNumber number) {
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    inode->content = Content::extents;
    std::ranges::fill(content_of(*inode), std::byte{0});
    return {};
}

base::Result<std::uint64_t> allocate_range(View& view, InodeNumber inode, std::uint64_t first, std::uint64_t count) {
    if (first >= max_file_blocks || count > max_file_blocks - first) return base::failure(std::errc::file_too_large);
    std::uint64_t done = 0;
    while (done < count) {
        BASE_ASSIGN(const auto mapping, map_block(view, inode, first + done, count - done));
        if (!mapping.is_hole()) {
            done += mapping.count;
            continue;
        }
        if (done > 0 && enough(view)) break;
        auto filled = fill_hole(view, inode, mapping.file_block, mapping.count);
        if (!filled) {
            const bool full = filled.error().code == std::errc::no_space_on_device;
            if (done > 0 && full) break;
            return std::unexpected(std::move(filled).error());
        }
        done += *filled;
    }
    return done;
}

base::Result<void> mark_written(View& view, InodeNumber inode, std::uint64_t first, std::uint64_t count) {
    const auto end = first + count;
    for (auto next = first; next < end;) {
        BASE_ASSIGN(const auto extent, tree_at_or_before(view, inode, next));
        if (!extent || extent->end() <= next) {
            return base::failure(Errc::corrupted, "inode " + std::to_string(inode) + ": written blocks are a hole");
        }
        const auto until = std::min(end, extent->end());
        if (extent->unwritten()) {
            auto written = part_of(*extent, next, until);
            written.flags &= ~std::uint32_t{record_unwritten};
            BASE_TRY(cut_extent(view, inode, *extent, next, until));
            BASE_TRY(add_extent(view, inode, written, Purpose::metadata_to_free));
        }
        next = until;
    }
    return {};
}

base::Result<bool> punch_range(View& view, InodeNumber inode, std::uint64_t first, std::uint64_t count) {
    auto end = std::min(max_file_blocks, first + std::min(count, max_file_blocks));
    for (bool began = false; end > first; began = true) {
        BASE_ASSIGN(const auto extent, tree_at_or_before(view, inode, end - 1));
        if (!extent || extent->end() <= first) return true;
        const auto until = std::min(end, extent->end());
        auto from = std::max(first, extent->key);
        if (until - from > largest_free) from = until - largest_free;
        const auto piece = part_of(*extent, from, until);
        const bool elsewhere = view.source().held(group_lock_of(view.superblock(), piece.value)) != LockMode::exclusive;
        if (began && (elsewhere || enough(view))) return false;
        BASE_TRY(cut_extent(view, inode, *extent, from, until));
        BASE_TRY(release(view, {piece.value, piece.count}, Purpose::data));
        BASE_TRY(count_blocks(view, inode, -std::int64_t{piece.count}));
        end = from;
    }
    return true;
}

}  // namespace clusterfs
