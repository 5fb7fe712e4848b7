// Whoever looks up name after name gets the next inodes before they are asked for.
#include <gtest/gtest.h>

#include "tests/unit/clusterfs_driver/rig.hh"

namespace clusterfs::test {
namespace {

struct EntryPrefetchTest : testing::Test {
    Rig rig;
    operations::InodeReference root{rig.filesystem().driver().superblock().root_inode, 0};

    bool is_here(operations::InodeReference inode) {
        std::atomic<bool> done = false;
        bool here = false;
        rig.filesystem().run(
            [&](View& view) -> base::Result<void> {
                here = view.source().cached_block(inode.number) != nullptr;
                return {};
            },
            [&](const base::Result<void>&) { done = true; });
        EXPECT_TRUE(Rig::comes_true([&] { return done.load(); }));
        return here;
    }
    operations::InodeReference make_file_of_another_node(const std::string& name) {
        const auto file = rig.make_file(name, "x");
        rig.locks().another_node_asks(inode_lock(file.number), LockMode::exclusive);
        EXPECT_TRUE(Rig::comes_true([&] { return !is_here(file); }));
        return file;
    }
};

TEST_F(EntryPrefetchTest, FetchesTheOthersAfterTwoWaits) {
    const auto first = make_file_of_another_node("first");
    const auto second = make_file_of_another_node("second");
    rig.filesystem().prefetch().note_wait(root);
    EXPECT_EQ(rig.filesystem().prefetch().batches(), 0U);
    rig.filesystem().prefetch().note_wait(root);
    EXPECT_EQ(rig.filesystem().prefetch().batches(), 1U);
    EXPECT_TRUE(Rig::comes_true([&] { return is_here(first) && is_here(second); }));
}

TEST_F(EntryPrefetchTest, DoesNotBeginAnewAtOnce) {
    const auto first = make_file_of_another_node("first");
    for (int i = 0; i < 2; ++i) rig.filesystem().prefetch().note_wait(root);
    ASSERT_TRUE(Rig::comes_true([&] { return is_here(first); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const auto another = make_file_of_another_node("another");
    for (int i = 0; i < 10; ++i) rig.filesystem().prefetch().note_wait(root);
    EXPECT_EQ(rig.filesystem().prefetch().batches(), 1U);
    EXPECT_FALSE(is_here(another));
}

}  // namespace
}  // namespace clusterfs::test
