#include "clusterfs/core/tree.hh"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "clusterfs/core/extent_map.hh"
#include "tests/unit/clusterfs_format/filesystem_fixture.hh"

namespace clusterfs::test {
namespace {

class Tree : public FilesystemTest {
  protected:
    void SetUp() override {
        FilesystemTest::SetUp();
        file_ = new_file();
        must([&](View& view) { return make_extents(view, file_); });
    }
    // One block of the device stands for all records: the tree does not mind.
    base::Result<void> insert(std::uint64_t key) {
        return run([&](View& view) {
            return tree_insert(view, file_, {key, 30000 + key % 1000, 1, 0}, Purpose::metadata);
        });
    }
    base::Result<void> erase(std::uint64_t key) {
        return run([&](View& view) { return tree_erase(view, file_, key); });
    }
    std::optional<TreeRecord> before(std::uint64_t key) {
        std::optional<TreeRecord> found;
        must([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(found, tree_at_or_before(view, file_, key));
            return {};
        });
        return found;
    }
    std::optional<TreeRecord> after(std::uint64_t key) {
        std::optional<TreeRecord> found;
        must([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(found, tree_at_or_after(view, file_, key));
            return {};
        });
        return found;
    }
    std::uint64_t owned_blocks() {
        std::uint64_t blocks = 0;
        must([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(const auto* inode, read_inode(view, file_));
            blocks = inode->blocks;
            return {};
        });
        return blocks;
    }
    InodeNumber file_ = 0;
};

TEST_F(Tree, EqualsAMapThroughRandomChanges) {
    std::mt19937_64 random(3);
    std::map<std::uint64_t, bool> model;
    for (int step = 0; step < 30000; ++step) {
        const bool growing = step < 12000 || (step > 20000 && step < 24000);
        const auto key = random() % 40000;
        if (growing ? random() % 4 != 0 : random() % 4 == 0) {
            if (model.emplace(key, true).second) {
                ASSERT_TRUE(insert(key));
            }
        } else if (const auto found = model.lower_bound(key); found != model.end()) {
            ASSERT_TRUE(erase(found->first));
            model.erase(found);
        }
        if (step % 16 != 0) continue;
        const auto asked = random() % 40000;
        const auto above = model.lower_bound(asked);
        const auto found_after = after(asked);
        ASSERT_EQ(found_after.has_value(), above != model.end());
        if (found_after) {
            ASSERT_EQ(found_after->key, above->first);
        }
        const auto below = model.upper_bound(asked);
        const auto found_before = before(asked);
        ASSERT_EQ(found_before.has_value(), below != model.begin());
        if (found_before) {
            ASSERT_EQ(found_before->key, std::prev(below)->first);
        }
    }
    while (!model.empty()) {
        ASSERT_TRUE(erase(model.begin()->first));
        model.erase(model.begin());
    }
    EXPECT_EQ(owned_blocks(), 0U);
}

TEST_F(Tree, FillsItsNodesWhenKeysAscend) {
    for (std::uint64_t key = 0; key < 20000; ++key) ASSERT_TRUE(insert(key));
    EXPECT_LE(owned_blocks(), 20000 / 166 + 3);
    for (std::uint64_t key = 20000; key-- > 0;) ASSERT_TRUE(erase(key));
    EXPECT_EQ(owned_blocks(), 0U);
}

TEST_F(Tree, RefusesAKeyTwiceAndOneThatIsMissing) {
    ASSERT_TRUE(insert(5));
    EXPECT_FALSE(insert(5));
    EXPECT_FALSE(erase(6));
}

}  // namespace
}  // namespace clusterfs::test
