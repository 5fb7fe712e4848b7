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
    auto& prefetch = rig.filesystem().prefetch();
    // Only what took less than its pause of a second can be judged: on a busy machine not every attempt does.
    for (int attempt = 0; attempt < 60; ++attempt) {
        const auto name = std::to_string(attempt);
        const auto first = make_file_of_another_node("first" + name);
        std::this_thread::sleep_for(std::chrono::milliseconds(attempt == 0 ? 0 : 1100));
        const auto before = prefetch.batches();
        const auto began = std::chrono::steady_clock::now();
        for (int i = 0; i < 2; ++i) prefetch.note_wait(root);
        ASSERT_TRUE(Rig::comes_true([&] { return is_here(first); }));
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        const auto another = make_file_of_another_node("another" + name);
        for (int i = 0; i < 10; ++i) prefetch.note_wait(root);
        const auto batches = prefetch.batches() - before;
        const auto fetched = is_here(another);
        if (std::chrono::steady_clock::now() - began > std::chrono::milliseconds(800)) continue;
        EXPECT_EQ(batches, 1U);
        EXPECT_FALSE(fetched);
        return;
    }
    FAIL() << "no attempt was short enough to be judged";
}

}  // namespace
}  // namespace clusterfs::test
