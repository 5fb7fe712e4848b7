#include "clusterfs/core/extent_map.hh"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "clusterfs/format/allocation_group.hh"
#include "tests/unit/clusterfs_format/filesystem_fixture.hh"

namespace clusterfs::test {
namespace {

class ExtentMap : public FilesystemTest {
  protected:
    void SetUp() override {
        FilesystemTest::SetUp();
        file_ = extents_file();
    }
    InodeNumber extents_file() {
        const auto file = new_file();
        must([&](View& view) { return make_extents(view, file); });
        return file;
    }
    base::Result<std::uint64_t> allocate_blocks(InodeNumber file, std::uint64_t first, std::uint64_t count) {
        std::uint64_t done = 0;
        auto outcome = run([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(done, allocate_range(view, file, first, count));
            EXPECT_LE(view.transaction().blocks.size(), max_operation_blocks);
            return {};
        });
        if (!outcome) return std::unexpected(outcome.error());
        return done;
    }
    void punch(InodeNumber file, std::uint64_t first, std::uint64_t count) {
        for (bool done = false; !done && !HasFatalFailure();) {
            must([&](View& view) -> base::Result<void> {
                BASE_ASSIGN(done, punch_range(view, file, first, count));
                EXPECT_LE(view.transaction().blocks.size(), max_operation_blocks);
                return {};
            });
        }
    }
    void written(InodeNumber file, std::uint64_t first, std::uint64_t count) {
        must([&](View& view) { return mark_written(view, file, first, count); });
    }
    Mapping map(InodeNumber file, std::uint64_t block, std::uint64_t limit = 1) {
        Mapping found;
        must([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(found, map_block(view, file, block, limit));
            return {};
        });
        return found;
    }
    SpaceCounts space() {
        SpaceCounts counts;
        must([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(counts, count_space(view, 0, 1000));
            return {};
        });
        return counts;
    }
    InodeNumber file_ = 0;
};

TEST_F(ExtentMap, AllocatesInOnePieceUnwritten) {
    ASSERT_EQ(allocate_blocks(file_, 10, 500).value(), 500U);
    const auto mapping = map(file_, 10, 1000);
    EXPECT_EQ(mapping.count, 500U);
    EXPECT_TRUE(mapping.unwritten);
    EXPECT_TRUE(map(file_, 9).is_hole());
    EXPECT_EQ(map(file_, 0, 100).count, 10U);
    EXPECT_TRUE(map(file_, 510).is_hole());
}

TEST_F(ExtentMap, MarksTheMiddleWrittenAndJoinsAgain) {
    ASSERT_EQ(allocate_blocks(file_, 0, 30).value(), 30U);
    written(file_, 10, 10);
    EXPECT_TRUE(map(file_, 9).unwritten);
    EXPECT_EQ(map(file_, 10, 100).count, 10U);
    EXPECT_FALSE(map(file_, 10).unwritten);
    EXPECT_TRUE(map(file_, 20).unwritten);
    written(file_, 0, 30);
    EXPECT_EQ(map(file_, 0, 100).count, 30U);
}

// The last block goes to the data, and none is left for the tree node that the extent needs.
TEST_F(ExtentMap, WithoutRoomForItsExtentTheDataGivesItsBlocksBack) {
    const std::uint64_t in_inode = (inode_payload_size - sizeof(TreeNodeHeader)) / sizeof(TreeRecord);
    for (std::uint64_t i = 0; i < in_inode; ++i) ASSERT_EQ(allocate_blocks(file_, 2 * i, 1).value(), 1U);
    const auto other = extents_file();
    for (std::uint64_t taken = 0; space().available > 1;) {
        taken += allocate_blocks(other, taken, space().available - 1).value();
    }
    ASSERT_EQ(space().available, 1U);
    const auto done = allocate_blocks(file_, 0, 3);
    ASSERT_TRUE(done);
    EXPECT_TRUE(map(file_, 1).is_hole());
    EXPECT_EQ(*done, 1U);
    EXPECT_EQ(space().available, 1U);
}

TEST_F(ExtentMap, EqualsAModelThroughRandomChanges) {
    const auto before = space();
    struct Cell {
        bool allocated = false;
        bool written = false;
    };
    std::vector<Cell> model(3000);
    std::mt19937 random(7);
    for (int step = 0; step < 4000; ++step) {
        const auto first = random() % model.size();
        const auto count = std::min<std::size_t>(1 + random() % 40, model.size() - first);
        const auto kind = random() % 5;
        ASSERT_FALSE(HasFatalFailure()) << step;
        if (kind == 0) {
            punch(file_, first, count);
            for (auto i = first; i < first + count; ++i) model[i] = {};
        } else {
            ASSERT_EQ(allocate_blocks(file_, first, count).value(), count);
            if (kind > 2) written(file_, first, count);
            for (auto i = first; i < first + count; ++i) model[i] = {true, model[i].written || kind > 2};
        }
    }
    std::set<BlockNumber> seen;
    for (std::size_t i = 0; i < model.size(); ++i) {
        const auto mapping = map(file_, i);
        ASSERT_EQ(!mapping.is_hole(), model[i].allocated) << i;
        if (mapping.is_hole()) continue;
        ASSERT_EQ(mapping.unwritten, !model[i].written) << i;
        ASSERT_TRUE(seen.insert(mapping.disk_block).second);
    }
    punch(file_, 0, max_file_blocks);
    EXPECT_EQ(space().free, before.free);
}

TEST_F(ExtentMap, FillsTheDeviceCleanlyAndEmptiesItAgain) {
    const auto before = space();
    std::uint64_t next = 0;
    // Every other block, so that each needs a record.
    while (true) {
        auto got = allocate_blocks(file_, next, 1);
        if (!got) {
            EXPECT_EQ(got.error().code, std::make_error_code(std::errc::no_space_on_device));
            break;
        }
        next += 2;
    }
    EXPECT_GT(next, 40000U);
    EXPECT_EQ(space().available, 0U);
    // Splitting extents needs tree nodes even now.
    punch(file_, 0, max_file_blocks);
    EXPECT_EQ(space().free, before.free);
    const auto again = extents_file();
    EXPECT_GE(allocate_blocks(again, 0, 1000).value(), 1U);
}

TEST_F(ExtentMap, DeletesAFileWithItsContent) {
    const auto before = space();
    const auto file = extents_file();
    for (std::uint64_t i = 0; i < 4000; i += 2) ASSERT_TRUE(allocate_blocks(file, i, 1));
    for (bool done = false; !done && !HasFatalFailure();) {
        must([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(done, free_content(view, file));
            return {};
        });
    }
    must([&](View& view) { return free_inode(view, file); });
    EXPECT_EQ(space().free, before.free);
    const auto outcome = run([&](View& view) -> base::Result<void> {
        BASE_TRY(read_inode(view, file));
        return {};
    });
    EXPECT_FALSE(outcome);
}

TEST_F(ExtentMap, NeverHandsMetadataOutAsData) {
    for (std::uint64_t i = 0; i < 4000; i += 2) ASSERT_TRUE(allocate_blocks(file_, i, 1));
    punch(file_, 0, max_file_blocks);
    const auto other = extents_file();
    std::uint64_t next = 0;
    while (true) {
        auto got = allocate_blocks(other, next, 1000);
        if (!got) break;
        next += *got;
    }
    EXPECT_GT(space().free, 0U);
    std::uint32_t reclaimed = 0;
    for (std::uint64_t group = 0; group < whole_->superblock().geometry().group_count(); ++group) {
        must([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(const auto some, reclaim_free_metadata(view, group));
            reclaimed += some;
            return {};
        });
    }
    EXPECT_GT(reclaimed, 10U);
}

}  // namespace
}  // namespace clusterfs::test
