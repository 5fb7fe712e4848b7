// The way of a block from changed to in place, and what must not be forgotten on it.
#include <gtest/gtest.h>

#include "clusterfs/core/block_cache.hh"

namespace clusterfs {
namespace {

const LockName inode_5{LockType::inode, 5};
const LockName inode_6{LockType::inode, 6};
const LockName group_0{LockType::allocation_group, 0};

class BlockCacheTest : public ::testing::Test {
  protected:
    void change(BlockNumber number, const LockName& lock) {
        Transaction transaction;
        transaction.blocks[number] = {std::make_shared<Block>(), lock};
        cache.apply(transaction);
    }
    void commit(std::uint64_t record) {
        cache.begin_commit([](Block&) {});
        cache.commit_done(record);
    }
    void put_in_place(const LockName& lock) {
        for (const auto& write : cache.begin_in_place(lock)) cache.in_place_done(write.first, write.blocks.size());
    }
    void TearDown() override { cache.check_invariants(); }

    BlockCache cache{4, [](BlockNumber) { return group_0; }};
};

TEST_F(BlockCacheTest, FollowsAChangeToItsPlace) {
    change(10, inode_5);
    EXPECT_TRUE(cache.dirt_under(inode_5).uncommitted);
    commit(1);
    EXPECT_FALSE(cache.dirt_under(inode_5).uncommitted);
    EXPECT_TRUE(cache.dirt_under(inode_5).not_in_place);
    EXPECT_EQ(cache.oldest_record(), 1U);
    put_in_place(inode_5);
    EXPECT_FALSE(cache.dirt_under(inode_5).any());
    EXPECT_EQ(cache.oldest_record(), std::nullopt);
}

TEST_F(BlockCacheTest, AChangeDuringTheWriteKeepsItDirty) {
    change(10, inode_5);
    commit(1);
    const auto writes = cache.begin_in_place(inode_5);
    change(10, inode_5);
    commit(2);
    cache.in_place_done(10, 1);
    EXPECT_TRUE(cache.dirt_under(inode_5).not_in_place);
    EXPECT_EQ(cache.oldest_record(), 2U);
}

TEST_F(BlockCacheTest, NeverWritesOneBlockTwiceAtOnce) {
    change(10, inode_5);
    commit(1);
    EXPECT_EQ(cache.begin_in_place(inode_5).size(), 1U);
    change(10, inode_5);
    commit(2);
    EXPECT_TRUE(cache.begin_in_place(inode_5).empty());
    EXPECT_TRUE(cache.begin_in_place(100, 100).empty());
    cache.in_place_done(10, 1);
    EXPECT_EQ(cache.begin_in_place(inode_5).size(), 1U);
}

TEST_F(BlockCacheTest, JoinsNeighbours) {
    for (const BlockNumber number : {12, 10, 11, 20}) change(number, inode_5);
    commit(1);
    const auto writes = cache.begin_in_place(100, 2);
    ASSERT_EQ(writes.size(), 2U);
    EXPECT_EQ(writes[0].first, 10U);
    EXPECT_EQ(writes[0].blocks.size(), 3U);
}

TEST_F(BlockCacheTest, NeighboursGoInPlaceTogether) {
    for (BlockNumber number = 100; number < 1000; ++number) change(number, number == 500 ? inode_5 : inode_6);
    change(2000, inode_6);
    commit(1);
    change(510, inode_6);  // changed again: what was committed may be written all the same
    const auto before = cache.begin_in_place(1, 2);
    ASSERT_EQ(before.at(0).first, 100U);
    const auto writes = cache.begin_in_place(inode_5);
    ASSERT_EQ(writes.size(), 1U);
    EXPECT_EQ(writes[0].blocks.size(), 256U);
    EXPECT_LE(writes[0].first, 500U);
    EXPECT_GT(writes[0].first + writes[0].blocks.size(), 511U);
    cache.in_place_done(writes[0].first, writes[0].blocks.size());
    EXPECT_FALSE(cache.dirt_under(inode_5).any());
    put_in_place(inode_6);
    cache.in_place_done(100, 1);
    EXPECT_TRUE(cache.dirt_under(inode_6).uncommitted);
    EXPECT_FALSE(cache.dirt_under(inode_6).not_in_place);
}

TEST_F(BlockCacheTest, ForgetsOnlyCleanBlocks) {
    change(1, inode_5);
    for (BlockNumber number = 10; number < 30; ++number) {
        cache.insert_clean(number, inode_6, std::make_shared<Block>());
    }
    EXPECT_NE(cache.find(1), nullptr);
    EXPECT_EQ(cache.find(10), nullptr);
    EXPECT_NE(cache.find(29), nullptr);
    EXPECT_EQ(cache.size(), 5U);
}

TEST_F(BlockCacheTest, AFreedBlockIsCoveredByItsGroupToo) {
    change(10, inode_5);
    commit(1);
    Transaction transaction;
    transaction.freed = {{10, 1}};
    cache.apply(transaction);
    EXPECT_TRUE(cache.dirt_under(group_0).not_in_place);
    EXPECT_TRUE(cache.dirt_under(inode_5).not_in_place);
    put_in_place(group_0);
    cache.drop(group_0);
    EXPECT_EQ(cache.find(10), nullptr);
    EXPECT_FALSE(cache.dirt_under(inode_5).any());
}

TEST_F(BlockCacheTest, ABlockChangesItsLockWhenItIsUsedAnew) {
    change(10, inode_5);
    Transaction freed;
    freed.freed = {{10, 1}};
    cache.apply(freed);
    commit(1);
    change(10, inode_6);
    EXPECT_FALSE(cache.dirt_under(inode_5).any());
    EXPECT_FALSE(cache.dirt_under(group_0).any());
    EXPECT_TRUE(cache.dirt_under(inode_6).uncommitted);
}

}  // namespace
}  // namespace clusterfs
