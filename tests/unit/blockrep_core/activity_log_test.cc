#include "blockrep/core/activity_log.hh"

#include <gtest/gtest.h>

namespace blockrep {
namespace {

TEST(ActivityLog, AnExtentIsHotOnlyWhenTheLogIsOnDisk) {
    ActivityLog log(8, 4, 0);
    const Range write{al_extent_size - 512, 1024};
    EXPECT_FALSE(log.acquire(write));
    ASSERT_TRUE(log.can_update());
    const auto update = log.begin_update();
    EXPECT_EQ(update.copy, 1u);
    EXPECT_EQ(update.content.sequence, 5u);
    EXPECT_EQ(update.content.extents, (std::vector<std::uint32_t>{0, 1}));
    EXPECT_FALSE(log.acquire(write));
    log.finish_update();
    EXPECT_TRUE(log.acquire(write));
    EXPECT_FALSE(log.can_update());
}

TEST(ActivityLog, TheLeastRecentlyUsedExtentGoesFirstAndAHeldOneNever) {
    ActivityLog log(8, 0, 0);
    for (std::uint32_t extent = 0; extent < 8; ++extent) log.acquire(range_of_extent(extent));
    (void)log.begin_update();
    log.finish_update();
    for (std::uint32_t extent = 0; extent < 8; ++extent) EXPECT_TRUE(log.acquire(range_of_extent(extent)));
    EXPECT_FALSE(log.acquire(range_of_extent(20)));
    EXPECT_FALSE(log.can_update());  // all are held
    log.release(range_of_extent(6));
    log.release(range_of_extent(3));
    const auto update = log.begin_update();
    EXPECT_EQ(update.put_out, std::vector<std::uint32_t>{3});
    log.finish_update();
    EXPECT_TRUE(log.acquire(range_of_extent(20)));
    EXPECT_TRUE(log.acquire(range_of_extent(6)));
}

}  // namespace
}  // namespace blockrep
