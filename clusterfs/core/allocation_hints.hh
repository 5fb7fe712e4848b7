// What searches for free blocks and counts of them have found out, so that the next one need not look again. Facts
// about maps as they are in the cache under their group's lock, and none about what an operation has changed itself.
// Whoever keeps the cache forgets them when they may be wrong.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <unordered_map>
#include <utility>

#include "clusterfs/core/block.hh"
#include "clusterfs/format/allocation_group.hh"

namespace clusterfs {

// The free blocks of an allocation group.
struct GroupSpace {
    std::uint64_t free = 0;       // free or free metadata
    std::uint64_t available = 0;  // of these, beyond the reserve
    std::uint64_t for_data = 0;   // of the available ones, free
    void add(const AllocationMap& map, std::uint32_t reserve) {
        const auto all = map.free_count + map.free_metadata_count;
        const auto usable = all > reserve ? all - reserve : 0;
        free += all;
        available += usable;
        for_data += std::min(usable, map.free_count);
    }
    bool operator==(const GroupSpace&) const = default;
};

class AllocationHints {
  public:
    const GroupSpace* space(std::uint64_t group) const {
        const auto found = space_.find(group);
        return found == space_.end() ? nullptr : &found->second;
    }
    void note_space(std::uint64_t group, const GroupSpace& space) { space_.insert_or_assign(group, space); }

    // Every block that this map has in this state was freed by a transaction that is not durable yet.
    bool nothing_reusable(BlockNumber map, BlockState state) const { return spent_.contains({map, state}); }
    void note_nothing_reusable(BlockNumber map, BlockState state) { spent_.emplace(map, state); }

    // Maps of the group were changed by this node. What it freed cannot be reused yet either.
    void changed(std::uint64_t group) { space_.erase(group); }
    // What was freed before may be reused.
    void committed() { spent_.clear(); }
    // The group's lock was given up: other nodes may have changed and committed.
    void gave_up(std::uint64_t group, BlockNumber first_map, std::uint32_t maps) {
        space_.erase(group);
        spent_.erase(spent_.lower_bound({first_map, BlockState::free}),
                     spent_.lower_bound({first_map + maps, BlockState::free}));
    }

    const std::unordered_map<std::uint64_t, GroupSpace>& spaces() const { return space_; }

  private:
    std::unordered_map<std::uint64_t, GroupSpace> space_;
    std::set<std::pair<BlockNumber, BlockState>> spent_;
};

}  // namespace clusterfs
