#include "clusterfs/core/allocator.hh"

#include <gtest/gtest.h>

#include <set>

#include "tests/unit/clusterfs_format/filesystem_fixture.hh"

namespace clusterfs::test {
namespace {

// A whole device on which what was freed is not durable yet.
class Forgetful : public WholeDevice {
  public:
    using WholeDevice::WholeDevice;
    bool freed_recently(BlockNumber number) const override { return recent.contains(number); }
    std::set<BlockNumber> recent;
};

class Allocator : public FilesystemTest {
  protected:
    void SetUp() override {
        FilesystemTest::SetUp();
        source_ = std::make_unique<Forgetful>(device_, whole_->superblock());
    }
    base::Result<BlockRange> take(Purpose purpose, std::uint32_t wanted, BlockNumber goal) {
        BlockRange range;
        auto outcome = source_->run(
            [&](View& view) -> base::Result<void> {
                BASE_ASSIGN(range, allocate(view, purpose, wanted, goal));
                return {};
            },
            {});
        if (!outcome) return std::unexpected(outcome.error());
        return range;
    }
    base::Result<void> give_back(BlockRange range, Purpose was) {
        return source_->run([&](View& view) { return release(view, range, was); }, {});
    }
    std::unique_ptr<Forgetful> source_;
};

TEST_F(Allocator, GivesARunBehindTheGoal) {
    const auto range = take(Purpose::data, 100, 5000);
    ASSERT_TRUE(range);
    EXPECT_EQ(*range, (BlockRange{5000, 100}));
    EXPECT_EQ(take(Purpose::data, 10, 5050)->first, 5100U);
}

TEST_F(Allocator, KeepsSlotsInGroupsOfTheirOwn) {
    const auto geometry = source_->superblock().geometry();
    for (const std::uint32_t slot : {0U, 1U}) {
        source_->set_slot(slot);
        for (const BlockNumber goal : {0U, 5000U, 20000U, 35000U}) {
            EXPECT_EQ(geometry.group_of(take(Purpose::data, 1, goal)->first) % 2, slot);
        }
    }
}

TEST_F(Allocator, TakesTheOtherGroupsWhenItsOwnAreFull) {
    source_->set_slot(1);
    std::set<std::uint64_t> groups;
    while (const auto range = take(Purpose::data, 20000, 0)) {
        groups.insert(source_->superblock().geometry().group_of(range->first));
    }
    EXPECT_EQ(groups, (std::set<std::uint64_t>{0, 1, 2}));
}

TEST_F(Allocator, DoesNotGiveOutWhatWasJustFreed) {
    const auto range = *take(Purpose::data, 10, 5000);
    ASSERT_TRUE(give_back(range, Purpose::data));
    for (std::uint32_t i = 0; i < range.count; ++i) source_->recent.insert(range.first + i);
    EXPECT_EQ(take(Purpose::data, 10, 5000)->first, 5010U);
    source_->recent.clear();
    EXPECT_EQ(take(Purpose::data, 10, 5000)->first, 5000U);
}

TEST_F(Allocator, DoesNotGiveOutWhatTheSameOperationFreed) {
    const auto range = *take(Purpose::data, 1, 5000);
    BlockRange again;
    const auto outcome = source_->run(
        [&](View& view) -> base::Result<void> {
            BASE_TRY(release(view, range, Purpose::data));
            BASE_ASSIGN(again, allocate(view, Purpose::data, 1, 5000));
            return {};
        },
        {});
    ASSERT_TRUE(outcome);
    EXPECT_EQ(again.first, 5001U);
}

TEST_F(Allocator, ReusesMetadataAsMetadataFirst) {
    const auto block = *take(Purpose::metadata, 1, 9000);
    ASSERT_TRUE(give_back(block, Purpose::metadata));
    EXPECT_NE(take(Purpose::data, 1, 9000)->first, block.first);
    EXPECT_EQ(take(Purpose::metadata, 1, 5000)->first, block.first);
}

TEST_F(Allocator, RefusesToFreeTwiceOrWhatIsFixed) {
    const auto range = *take(Purpose::data, 2, 5000);
    ASSERT_TRUE(give_back(range, Purpose::data));
    EXPECT_FALSE(give_back(range, Purpose::data));
    EXPECT_FALSE(give_back({1, 1}, Purpose::metadata));
    EXPECT_FALSE(give_back({39999, 1}, Purpose::data));
    EXPECT_FALSE(give_back({39990, 100}, Purpose::data));
}

TEST_F(Allocator, KeepsAReserveForFreeing) {
    while (take(Purpose::data, 20000, 0)) continue;
    EXPECT_FALSE(take(Purpose::metadata, 1, 0));
    EXPECT_TRUE(take(Purpose::metadata_to_free, 1, 0));
}

}  // namespace
}  // namespace clusterfs::test
