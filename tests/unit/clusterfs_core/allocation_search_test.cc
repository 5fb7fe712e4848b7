// What a search for free blocks and a count of them cost on a filesystem much larger than the cache.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <set>

#include "clusterfs/core/allocation_hints.hh"
#include "clusterfs/core/allocator.hh"
#include "clusterfs/core/operations/statistics.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs::test {
namespace {

constexpr std::uint64_t gibibyte = (1ULL << 30) / block_size;

// Maps that are made when they are read: those of `full` groups have nothing free.
class LargeFilesystem : public ViewSource {
  public:
    explicit LargeFilesystem(std::uint64_t blocks) {
        superblock_.block_count = blocks;
        superblock_.maps_per_group = max_maps_per_group;
        superblock_.slot_count = 2;
        superblock_.reserve_per_map = 16;
    }

    base::Result<void> run(const std::function<base::Result<void>(View&)>& operation) {
        for (;;) {
            ++runs;
            View view(*this, {});
            auto outcome = operation(view);
            if (outcome || outcome.error().code != make_error_code(Errc::needed)) return outcome;
            for (const auto& [name, mode] : view.needs().locks) locks_.insert_or_assign(name, mode);
            for (const auto& need : view.needs().blocks) read(need.number);
        }
    }

    const Superblock& superblock() const override { return superblock_; }
    BlockHandle cached_block(BlockNumber number) const override {
        const auto found = cache_.find(number);
        return found == cache_.end() ? nullptr : found->second;
    }
    LockMode held(const LockName& name) const override {
        ++looked_at_locks;
        const auto found = locks_.find(name);
        return found == locks_.end() ? LockMode::none : found->second;
    }
    std::uint32_t slot() const override { return 0; }
    bool freed_recently(BlockNumber) const override {
        ++looked_at_freed;
        return all_freed_recently;
    }
    bool journal_has_space() const override { return true; }
    AllocationHints* allocation_hints() const override { return &hints; }

    std::function<bool(std::uint64_t group)> full = [](std::uint64_t) { return false; };
    BlockState state = BlockState::free;  // of what is not used
    bool all_freed_recently = false;
    std::uint64_t runs = 0;
    std::uint64_t reads = 0;
    mutable std::uint64_t looked_at_locks = 0;
    mutable std::uint64_t looked_at_freed = 0;
    mutable AllocationHints hints;

  private:
    static constexpr std::size_t cache_limit = 1000;

    void read(BlockNumber number) {
        ++reads;
        const auto geometry = superblock_.geometry();
        auto block = std::make_shared<Block>();
        auto& map = block->as<AllocationMap>();
        const auto group = geometry.group_of(number);
        map.header.magic = BlockType::allocation_map;
        map.header.number = number;
        map.group = static_cast<std::uint32_t>(group);
        map.index = static_cast<std::uint32_t>(number - geometry.map_block(group, 0));
        map.first_block = geometry.first_of_map(group, map.index);
        map.block_count = geometry.blocks_in_map(group, map.index);
        const bool is_full = full(group);
        for (std::uint32_t i = 0; i < map.block_count; ++i) map.set_state(i, is_full ? BlockState::used : state);
        if (!is_full) (state == BlockState::free ? map.free_count : map.free_metadata_count) = map.block_count;
        cache_.insert_or_assign(number, block);
        order_.push_back(number);
        if (order_.size() <= cache_limit) return;
        cache_.erase(order_.front());
        order_.pop_front();
    }

    Superblock superblock_;
    std::map<BlockNumber, BlockHandle> cache_;
    std::deque<BlockNumber> order_;
    std::map<LockName, LockMode> locks_;
};

std::uint64_t maps_of(const Geometry& geometry) {
    std::uint64_t maps = 0;
    for (std::uint64_t group = 0; group < geometry.group_count(); ++group) maps += geometry.maps_in_group(group);
    return maps;
}

TEST(AllocationSearch, CountsALargeFilesystemWithEveryMapReadOnce) {
    LargeFilesystem filesystem(200 * gibibyte);
    const auto maps = maps_of(filesystem.superblock().geometry());
    ASSERT_GT(maps, 3000U);
    operations::StatisticsCount count;
    operations::Statistics statistics;
    ASSERT_TRUE(filesystem.run([&](View& view) -> base::Result<void> {
        BASE_ASSIGN(statistics, count(view));
        return {};
    }));
    EXPECT_EQ(statistics.free, filesystem.superblock().block_count);
    EXPECT_EQ(statistics.available, filesystem.superblock().block_count - 16 * maps);
    EXPECT_EQ(filesystem.reads, maps);
    EXPECT_LE(filesystem.runs, maps / 100);
}

TEST(AllocationSearch, FindsOutOnceThatALargeFilesystemIsFull) {
    LargeFilesystem filesystem(200 * gibibyte);
    filesystem.full = [](std::uint64_t) { return true; };
    const auto geometry = filesystem.superblock().geometry();
    for (int again = 0; again < 10; ++again) {
        const auto outcome = filesystem.run([](View& view) -> base::Result<void> {
            BASE_TRY(allocate(view, Purpose::data, 1, 0));
            return {};
        });
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().code, std::errc::no_space_on_device);
    }
    EXPECT_EQ(filesystem.reads, maps_of(geometry));
    EXPECT_LE(filesystem.runs, 2 * geometry.group_count() + 20);
}

TEST(AllocationSearch, LooksAtFewGroupsWhereTheFirstHasRoom) {
    LargeFilesystem filesystem(20'000 * gibibyte);
    ASSERT_TRUE(filesystem.run([](View& view) -> base::Result<void> {
        BASE_TRY(allocate(view, Purpose::data, 1, 0));
        return {};
    }));
    EXPECT_LE(filesystem.looked_at_locks, 50U);
}

TEST(AllocationSearch, GoesToTheGroupsOfItsSlotThenToThoseItHasThenToTheRest) {
    LargeFilesystem filesystem(9 * gibibyte);
    const auto geometry = filesystem.superblock().geometry();
    ASSERT_EQ(geometry.group_count(), 10U);
    std::set<std::uint64_t> full;
    std::vector<std::uint64_t> found;
    filesystem.full = [&](std::uint64_t group) { return full.contains(group); };
    const auto allocate_one = [&](View& view) -> base::Result<void> {
        // Holds the lock of group 5 already.
        BASE_TRY(view.lock({LockType::allocation_group, 5}, LockMode::exclusive));
        BASE_ASSIGN(const auto range, allocate(view, Purpose::data, 1, geometry.first_of_group(4) + 100));
        found.push_back(geometry.group_of(range.first));
        return {};
    };
    for (std::uint64_t i = 0; i < geometry.group_count(); ++i) {
        LargeFilesystem fresh(9 * gibibyte);
        fresh.full = filesystem.full;
        ASSERT_TRUE(fresh.run(allocate_one));
        full.insert(found.back());
    }
    EXPECT_EQ(found, (std::vector<std::uint64_t>{4, 6, 8, 0, 2, 5, 7, 9, 1, 3}));
}

TEST(AllocationSearch, LooksOnceAtWhatCannotBeReusedBeforeTheNextCommit) {
    LargeFilesystem filesystem(gibibyte / 2);
    filesystem.state = BlockState::free_metadata;
    filesystem.all_freed_recently = true;
    const auto allocate_one = [&] {
        return filesystem.run([](View& view) -> base::Result<void> {
            BASE_TRY(allocate(view, Purpose::metadata, 1, 0));
            return {};
        });
    };
    EXPECT_FALSE(allocate_one());
    EXPECT_GT(filesystem.looked_at_freed, 0U);
    filesystem.looked_at_freed = 0;
    EXPECT_FALSE(allocate_one());
    EXPECT_EQ(filesystem.looked_at_freed, 0U);
    filesystem.all_freed_recently = false;
    filesystem.hints.committed();
    EXPECT_TRUE(allocate_one());
}

}  // namespace
}  // namespace clusterfs::test
