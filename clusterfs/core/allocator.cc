#include "clusterfs/core/allocator.hh"

#include <algorithm>
#include <optional>
#include <string>

#include "clusterfs/core/allocation_hints.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/format/allocation_group.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs {
namespace {

LockName group_lock(std::uint64_t group) { return {LockType::allocation_group, group}; }

base::Result<void> check_map(const AllocationMap& map, const Geometry& geometry) {
    if (const auto* fault = fault_in(map, geometry)) {
        return base::failure(Errc::corrupted,
                             "allocation map in block " + std::to_string(map.header.number) + ": " + fault);
    }
    return {};
}

base::Result<const AllocationMap*> read_map(View& view, std::uint64_t group, std::uint32_t index) {
    const auto geometry = view.superblock().geometry();
    BASE_ASSIGN(const auto* block,
                view.block(geometry.map_block(group, index), group_lock(group), BlockType::allocation_map));
    const auto& map = block->as<AllocationMap>();
    BASE_TRY(check_map(map, geometry));
    return &map;
}

base::Result<AllocationMap*> modify_map(View& view, std::uint64_t group, std::uint32_t index) {
    const auto geometry = view.superblock().geometry();
    BASE_ASSIGN(auto* block,
                view.modify(geometry.map_block(group, index), group_lock(group), BlockType::allocation_map));
    auto& map = block->as<AllocationMap>();
    BASE_TRY(check_map(map, geometry));
    return &map;
}

// Names every map of the group that is missing, so that one more run is enough.
base::Result<void> read_maps(View& view, std::uint64_t group) {
    base::Result<void> outcome;
    for (std::uint32_t index = 0; index < view.superblock().geometry().maps_in_group(group); ++index) {
        auto map = read_map(view, group, index);
        if (!map && outcome) outcome = std::unexpected(std::move(map).error());
    }
    return outcome;
}

bool is_changed(View& view, BlockNumber number) { return view.transaction().blocks.contains(number); }

// Leaves the sum for whoever asks next, unless this operation has changed a map: it may yet be dropped.
base::Result<GroupSpace> space_of(View& view, std::uint64_t group) {
    auto* hints = view.source().allocation_hints();
    if (const auto* known = hints == nullptr ? nullptr : hints->space(group)) return *known;
    BASE_TRY(read_maps(view, group));
    const auto geometry = view.superblock().geometry();
    GroupSpace space;
    bool as_cached = true;
    for (std::uint32_t index = 0; index < geometry.maps_in_group(group); ++index) {
        BASE_ASSIGN(const auto* map, read_map(view, group, index));
        space.add(*map, view.superblock().reserve_per_map);
        as_cached &= !is_changed(view, map->header.number);
    }
    if (hints != nullptr && as_cached) hints->note_space(group, space);
    return space;
}

std::uint32_t& count_of(AllocationMap& map, BlockState state) {
    return state == BlockState::free ? map.free_count : map.free_metadata_count;
}

// One search for free blocks: what may be taken, and how many at most.
class Search {
  public:
    Search(View& view, Purpose purpose, std::uint32_t wanted, BlockNumber goal)
        : view_(view), purpose_(purpose), wanted_(wanted), goal_(goal) {}

    // Metadata goes where metadata was, in the whole group, before it takes blocks that data could have.
    base::Result<std::optional<BlockRange>> in_group(std::uint64_t group) {
        if (known_to_be_full(group)) return std::optional<BlockRange>();
        BASE_TRY(view_.lock(group_lock(group), LockMode::exclusive));
        if (purpose_ != Purpose::data) {
            BASE_ASSIGN(auto found, in_maps(group, BlockState::free_metadata));
            if (found) return found;
        }
        BASE_ASSIGN(auto found, in_maps(group, BlockState::free));
        if (!found) BASE_TRY(space_of(view_, group));
        return found;
    }

  private:
    bool known_to_be_full(std::uint64_t group) const {
        const auto* hints = view_.source().allocation_hints();
        const auto* space = hints == nullptr ? nullptr : hints->space(group);
        if (space == nullptr) return false;
        if (purpose_ == Purpose::metadata_to_free) return space->free == 0;
        return (purpose_ == Purpose::data ? space->for_data : space->available) == 0;
    }

    base::Result<std::optional<BlockRange>> in_maps(std::uint64_t group, BlockState state) {
        const auto geometry = view_.superblock().geometry();
        const auto maps = geometry.maps_in_group(group);
        const auto start = geometry.group_of(goal_) == group ? geometry.map_index_of(goal_) : 0;
        for (std::uint32_t i = 0; i < maps; ++i) {
            const auto found = read_map(view_, group, (start + i) % maps);
            if (!found) {
                // The rest of the group is read along: most often it is searched next.
                (void)read_maps(view_, group);
                return std::unexpected(found.error());
            }
            const auto* map = *found;
            const bool has_some = state == BlockState::free ? map->free_count > 0 : map->free_metadata_count > 0;
            const auto room = std::min(wanted_, room_in(*map));
            if (!has_some || room == 0 || known_to_be_spent(*map, state)) continue;
            if (const auto run = best_run(*map, state, room)) return take(*map, *run);
            note_spent(*map, state);
        }
        return std::optional<BlockRange>();
    }

    bool known_to_be_spent(const AllocationMap& map, BlockState state) const {
        const auto* hints = view_.source().allocation_hints();
        return hints != nullptr && hints->nothing_reusable(map.header.number, state);
    }

    void note_spent(const AllocationMap& map, BlockState state) {
        auto* hints = view_.source().allocation_hints();
        const bool as_cached = !is_changed(view_, map.header.number);
        if (hints != nullptr && as_cached) hints->note_nothing_reusable(map.header.number, state);
    }

    // How many blocks this purpose may take from the map: only what frees something may touch the reserve.
    std::uint32_t room_in(const AllocationMap& map) const {
        const auto all = map.free_count + map.free_metadata_count;
        if (purpose_ == Purpose::metadata_to_free) return all;
        const auto reserve = view_.superblock().reserve_per_map;
        const auto usable = all > reserve ? all - reserve : 0;
        return purpose_ == Purpose::data ? std::min(usable, map.free_count) : usable;
    }

    bool just_freed(BlockNumber number) const {
        for (const auto& [first, count] : view_.transaction().freed) {
            if (number >= first && number - first < count) return true;
        }
        return view_.source().freed_recently(number);
    }

    std::uint32_t run_length(const AllocationMap& map, BlockState state, std::uint32_t from, std::uint32_t limit) {
        std::uint32_t length = 0;
        while (length < limit && from + length < map.block_count && map.state(from + length) == state &&
               !just_freed(map.first_block + from + length)) {
            ++length;
        }
        return length;
    }

    // The first run of `room` blocks behind the goal (then before it), else the longest there is.
    std::optional<BlockRange> best_run(const AllocationMap& map, BlockState state, std::uint32_t room) {
        const auto blocks = map.block_count;
        const bool near = goal_ >= map.first_block && goal_ - map.first_block < blocks;
        const auto start = near ? static_cast<std::uint32_t>(goal_ - map.first_block) : 0;
        BlockRange best;
        const auto look = [&](std::uint32_t from, std::uint32_t until) {
            for (auto i = from; i < until && best.count < room;) {
                if (i % 4 == 0 && map.states[i / 4] == 0x55) {
                    i += 4;
                    continue;
                }
                const auto length = run_length(map, state, i, room);
                if (length > best.count) best = {map.first_block + i, length};
                i += std::max<std::uint32_t>(length, 1);
            }
        };
        look(start, blocks);
        if (best.count < room) look(0, start);
        if (best.count == 0) return std::nullopt;
        return best;
    }

    base::Result<std::optional<BlockRange>> take(const AllocationMap& found, BlockRange run) {
        BASE_ASSIGN(auto* map, modify_map(view_, found.group, found.index));
        const auto first = static_cast<std::uint32_t>(run.first - map->first_block);
        auto& count = count_of(*map, map->state(first));
        if (count < run.count) return base::failure(Errc::corrupted, "an allocation map's counts are wrong");
        count -= run.count;
        for (std::uint32_t i = 0; i < run.count; ++i) map->set_state(first + i, BlockState::used);
        return std::optional<BlockRange>(run);
    }

    View& view_;
    Purpose purpose_;
    std::uint32_t wanted_;
    BlockNumber goal_;
};

// The groups in the order in which they are searched, each made up when it is asked for, as the first one mostly has
// room: those that this slot prefers, from the goal's on; then others whose lock is here already; then the rest.
class SearchOrder {
  public:
    SearchOrder(const View& view, BlockNumber goal)
        : view_(view),
          groups_(view.superblock().geometry().group_count()),
          slots_(view.superblock().slot_count),
          slot_(view.source().slot()),
          goal_(std::min(view.superblock().geometry().group_of(goal), groups_ - 1)),
          preferred_(slot_ < groups_ ? (groups_ - slot_ + slots_ - 1) / slots_ : 0) {}

    std::optional<std::uint64_t> next() {
        if (taken_ < preferred_) return slot_ + (goal_ / slots_ + taken_++) % preferred_ * slots_;
        for (; pass_ < 2; ++pass_, taken_ = preferred_) {
            const bool held_ones = pass_ == 0;
            while (taken_ - preferred_ < groups_) {
                const auto group = (goal_ + (taken_++ - preferred_)) % groups_;
                if (group % slots_ == slot_) continue;
                if ((view_.source().held(group_lock(group)) == LockMode::exclusive) == held_ones) return group;
            }
        }
        return std::nullopt;
    }

  private:
    const View& view_;
    std::uint64_t groups_;
    std::uint64_t slots_;
    std::uint64_t slot_;
    std::uint64_t goal_;
    std::uint64_t preferred_;
    std::uint64_t taken_ = 0;
    int pass_ = 0;
};

base::Result<void> release_in_map(View& view, BlockRange range, BlockState to) {
    const auto geometry = view.superblock().geometry();
    const auto group = geometry.group_of(range.first);
    BASE_ASSIGN(auto* map, modify_map(view, group, geometry.map_index_of(range.first)));
    const auto first = static_cast<std::uint32_t>(range.first - map->first_block);
    for (std::uint32_t i = 0; i < range.count; ++i) {
        if (map->state(first + i) != BlockState::used) {
            return base::failure(Errc::corrupted, "block " + std::to_string(range.first + i) + " is freed twice");
        }
        map->set_state(first + i, to);
    }
    count_of(*map, to) += range.count;
    return {};
}

}  // namespace

LockName group_lock_of(const Superblock& superblock, BlockNumber block) {
    return group_lock(superblock.geometry().group_of(block));
}

base::Result<BlockRange> allocate(View& view, Purpose purpose, std::uint32_t wanted, BlockNumber goal) {
    Search search(view, purpose, std::max<std::uint32_t>(wanted, 1), goal);
    SearchOrder order(view, goal);
    while (const auto group = order.next()) {
        BASE_ASSIGN(const auto found, search.in_group(*group));
        if (found) return *found;
    }
    return base::failure(std::errc::no_space_on_device);
}

base::Result<std::vector<BlockNumber>> likely_next(View& view, BlockNumber number, std::size_t count) {
    const auto geometry = view.superblock().geometry();
    const auto group = geometry.group_of(number);
    BASE_ASSIGN(const auto* map, read_map(view, group, geometry.map_index_of(number)));
    std::vector<BlockNumber> blocks;
    for (const auto state : {BlockState::free_metadata, BlockState::free}) {
        auto left = state == BlockState::free ? map->free_count : map->free_metadata_count;
        for (auto next = number + 1; left > 0 && blocks.size() < count && next - map->first_block < map->block_count;
             ++next) {
            if (map->state(static_cast<std::uint32_t>(next - map->first_block)) != state) continue;
            --left;
            if (!view.source().freed_recently(next)) blocks.push_back(next);
        }
    }
    return blocks;
}

base::Result<void> claim(View& view, BlockRange range) {
    const auto geometry = view.superblock().geometry();
    for (auto next = range.first; next < range.first + range.count; ++next) {
        const auto group = geometry.group_of(next);
        BASE_TRY(view.lock(group_lock(group), LockMode::exclusive));
        BASE_ASSIGN(auto* map, modify_map(view, group, geometry.map_index_of(next)));
        const auto i = static_cast<std::uint32_t>(next - map->first_block);
        const auto state = map->state(i);
        if (state != BlockState::free && state != BlockState::free_metadata) {
            return base::failure(Errc::corrupted, "block " + std::to_string(next) + " is not free");
        }
        --count_of(*map, state);
        map->set_state(i, BlockState::used);
    }
    return {};
}

base::Result<void> release(View& view, BlockRange range, Purpose was) {
    const auto geometry = view.superblock().geometry();
    const auto end = range.first + range.count;
    if (end > geometry.block_count || range.count == 0 || geometry.is_fixed(range.first)) {
        return base::failure(Errc::corrupted, "block " + std::to_string(range.first) + " cannot be freed");
    }
    for (auto group = geometry.group_of(range.first); group <= geometry.group_of(end - 1); ++group) {
        BASE_TRY(view.lock(group_lock(group), LockMode::exclusive));
    }
    for (auto next = range.first; next < end;) {
        const auto group = geometry.group_of(next);
        const auto index = geometry.map_index_of(next);
        const auto map_end = geometry.first_of_map(group, index) + geometry.blocks_in_map(group, index);
        const auto count = static_cast<std::uint32_t>(std::min(end, map_end) - next);
        const auto to = was == Purpose::data ? BlockState::free : BlockState::free_metadata;
        BASE_TRY(release_in_map(view, {next, count}, to));
        next += count;
    }
    view.note_freed(range.first, range.count);
    return {};
}

base::Result<std::uint32_t> reclaim_free_metadata(View& view, std::uint64_t group) {
    BASE_TRY(view.lock(group_lock(group), LockMode::exclusive));
    std::uint32_t reclaimed = 0;
    for (std::uint32_t index = 0; index < view.superblock().geometry().maps_in_group(group); ++index) {
        BASE_ASSIGN(const auto* current, read_map(view, group, index));
        if (current->free_metadata_count == 0) continue;
        BASE_ASSIGN(auto* map, modify_map(view, group, index));
        for (std::uint32_t i = 0; i < map->block_count; ++i) {
            if (map->state(i) == BlockState::free_metadata) map->set_state(i, BlockState::free);
        }
        reclaimed += map->free_metadata_count;
        map->free_count += map->free_metadata_count;
        map->free_metadata_count = 0;
    }
    return reclaimed;
}

base::Result<SpaceCounts> count_space(View& view, std::uint64_t first_group, std::uint64_t groups) {
    const auto geometry = view.superblock().geometry();
    const auto end = std::min(geometry.group_count(), first_group + groups);
    base::Result<void> locked;
    for (auto group = first_group; group < end; ++group) {
        if (auto one = view.lock(group_lock(group), LockMode::shared); !one) locked = std::move(one);
    }
    BASE_TRY(std::move(locked));
    SpaceCounts counts;
    base::Result<void> read;
    for (auto group = first_group; group < end; ++group) {
        const auto space = space_of(view, group);
        if (!space) {
            const bool waits = space.error().code == make_error_code(Errc::needed);
            if (!waits) return std::unexpected(space.error());
            read = std::unexpected(space.error());
            continue;
        }
        counts.blocks += geometry.blocks_in_group(group) - group_reserved_blocks - geometry.maps_in_group(group);
        counts.free += space->free;
        counts.available += space->available;
    }
    BASE_TRY(std::move(read));
    return counts;
}

}  // namespace clusterfs
