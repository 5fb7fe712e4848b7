// The allocation maps against what was claimed.
#include <algorithm>

#include "clusterfs/core/check/context.hh"
#include "clusterfs/format/allocation_group.hh"

namespace clusterfs::checking {
namespace {

class MapCheck {
  public:
    MapCheck(Context& context, std::uint64_t group, std::uint32_t index)
        : context_(context), geometry_(context.superblock().geometry()), group_(group), index_(index) {}

    void run() {
        const auto number = geometry_.map_block(group_, index_);
        const auto loaded = context_.load(number);
        const bool usable = loaded.sound() && fault_in(loaded.block->as<AllocationMap>(), geometry_) == nullptr;
        block_ = usable ? Context::copy(loaded) : empty_map(number);
        if (usable) {
            compare_blocks();
            compare_counts();
        } else if (context_.found(Problem::map_damaged, "block " + std::to_string(number))) {
            fill();
            changed_ = true;
        } else {
            return;
        }
        note_usage();
        reclaim();
        if (changed_) context_.put(std::move(block_));
    }

  private:
    AllocationMap& map() { return block_->as<AllocationMap>(); }

    std::shared_ptr<Block> empty_map(BlockNumber number) const {
        auto block = std::make_shared<Block>();
        auto& map = block->as<AllocationMap>();
        map.header = context_.header_for(BlockType::allocation_map, number, 0);
        map.group = static_cast<std::uint32_t>(group_);
        map.index = index_;
        map.first_block = geometry_.first_of_map(group_, index_);
        map.block_count = geometry_.blocks_in_map(group_, index_);
        return block;
    }

    void fill() {
        for (std::uint32_t i = 0; i < blocks_per_map; ++i) {
            const bool used = i >= map().block_count || context_.is_claimed(map().first_block + i);
            map().set_state(i, used ? BlockState::used : BlockState::free);
        }
        count();
    }

    void compare_blocks() {
        const auto wrong = [&](std::uint32_t i, bool claimed) {
            return context_.is_claimed(map().first_block + i) == claimed &&
                   (map().state(i) == BlockState::used) != claimed && map().state(i) != BlockState::bad;
        };
        repair(
            Problem::used_marked_free, [&](std::uint32_t i) { return wrong(i, true); }, BlockState::used);
        repair(
            Problem::free_marked_used, [&](std::uint32_t i) { return wrong(i, false); }, BlockState::free);
    }

    template <typename Wrong>
    void repair(Problem problem, Wrong wrong, BlockState right) {
        std::vector<std::uint32_t> blocks;
        for (std::uint32_t i = 0; i < map().block_count; ++i) {
            if (wrong(i)) blocks.push_back(i);
        }
        if (blocks.empty()) return;
        const auto detail = std::to_string(blocks.size()) + " blocks of group " + std::to_string(group_) +
                            ", the first is " + std::to_string(map().first_block + blocks.front());
        if (!context_.found(problem, detail)) return;
        for (const auto i : blocks) map().set_state(i, right);
        count();
        changed_ = true;
    }

    struct Counts {
        std::uint32_t free = 0;
        std::uint32_t free_metadata = 0;
        std::uint32_t bad = 0;
        bool operator==(const Counts&) const = default;
    };
    Counts counted() {
        Counts counts;
        for (std::uint32_t i = 0; i < map().block_count; ++i) {
            const auto state = map().state(i);
            counts.free += state == BlockState::free ? 1 : 0;
            counts.free_metadata += state == BlockState::free_metadata ? 1 : 0;
            counts.bad += state == BlockState::bad ? 1 : 0;
        }
        return counts;
    }
    void count() {
        const auto counts = counted();
        map().free_count = counts.free;
        map().free_metadata_count = counts.free_metadata;
        map().bad_count = counts.bad;
    }

    void compare_counts() {
        if (changed_ || counted() == Counts{map().free_count, map().free_metadata_count, map().bad_count}) return;
        if (!context_.found(Problem::map_counts, "group " + std::to_string(group_))) return;
        count();
        changed_ = true;
    }

    void note_usage() {
        context_.report().used_blocks += map().block_count - map().free_count - map().free_metadata_count;
    }

    // With all journals empty, what was metadata may become data.
    void reclaim() {
        if (context_.options().read_only || !context_.all_journals_empty() || map().free_metadata_count == 0) return;
        for (std::uint32_t i = 0; i < map().block_count; ++i) {
            if (map().state(i) == BlockState::free_metadata) map().set_state(i, BlockState::free);
        }
        count();
        changed_ = true;
    }

    Context& context_;
    Geometry geometry_;
    std::uint64_t group_;
    std::uint32_t index_;
    std::shared_ptr<Block> block_;
    bool changed_ = false;
};

}  // namespace

base::Result<void> check_maps(Context& context) {
    context.enter("allocation maps");
    const auto geometry = context.superblock().geometry();
    for (std::uint64_t group = 0; group < geometry.group_count(); ++group) {
        for (std::uint32_t index = 0; index < geometry.maps_in_group(group); ++index) {
            MapCheck(context, group, index).run();
        }
        context.whole().trim(4096);
    }
    return {};
}

}  // namespace clusterfs::checking
