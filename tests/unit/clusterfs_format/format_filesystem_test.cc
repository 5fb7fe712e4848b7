#include "clusterfs/core/format_filesystem.hh"

#include <gtest/gtest.h>

#include <algorithm>

#include "clusterfs/core/error.hh"
#include "clusterfs/format/block_seal.hh"
#include "tests/unit/clusterfs_format/filesystem_fixture.hh"

namespace clusterfs::test {
namespace {

using FormatFilesystem = FilesystemTest;

TEST_F(FormatFilesystem, LeavesASuperblockAndItsBackups) {
    auto first = read_superblock(device_, superblock_number);
    ASSERT_TRUE(first) << first.error().message();
    EXPECT_EQ(first->block_count, 40000U);
    const auto backups = backup_superblocks(first->geometry());
    EXPECT_EQ(backups, (std::vector<std::uint64_t>{15873, 31745, 39999}));
    for (const auto place : backups) EXPECT_TRUE(read_superblock(device_, place)) << place;
}

TEST_F(FormatFilesystem, HasARootAndOrphanDirectories) {
    must([&](View& view) -> base::Result<void> {
        BASE_ASSIGN(const auto* root, read_inode(view, view.superblock().root_inode));
        EXPECT_TRUE(is_directory(*root));
        EXPECT_EQ(root->links, 2U);
        for (std::uint32_t slot = 0; slot < 2; ++slot) {
            BASE_ASSIGN(const auto* orphans, read_inode(view, view.superblock().slots[slot].orphan_directory));
            EXPECT_EQ(orphans->flags, inode_system);
        }
        return {};
    });
}

TEST_F(FormatFilesystem, TellsWhatIsWrongWithABlock) {
    const auto root = whole_->superblock().root_inode;
    const auto uuid = whole_->superblock().uuid();
    ASSERT_TRUE(read_checked(device_, root, uuid));
    device_.at(root + 100) = device_.at(root);
    EXPECT_EQ(check(device_.at(root + 100).bytes, root + 100, uuid), BlockFault::wrong_place);
    device_.at(root).bytes[3000] ^= std::byte{1};
    EXPECT_EQ(check(device_.at(root).bytes, root, uuid), BlockFault::bad_checksum);
    EXPECT_FALSE(read_checked(device_, root, uuid));
}

TEST(FormatPlanTest, RefusesWhatCannotWork) {
    FormatOptions options;
    EXPECT_FALSE(plan_format(options, 1000));
    options.slots = 0;
    EXPECT_FALSE(plan_format(options, 100000));
    options.slots = 33;
    EXPECT_FALSE(plan_format(options, 100000));
    options.slots = 8;
    EXPECT_FALSE(plan_format(options, 10000));
    options.slots = 2;
    options.journal_blocks = 100;
    EXPECT_FALSE(plan_format(options, 100000));
    options.journal_blocks = 0;
    EXPECT_TRUE(plan_format(options, 100000));
}

class Sizes : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(Sizes, CanBeFormatted) {
    MemoryDevice device(GetParam());
    FormatOptions options;
    options.uuid.bytes.fill(std::byte{1});
    auto made = format_filesystem(device, options);
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_TRUE(read_superblock(device, superblock_number));
    const auto backups = backup_superblocks(made->geometry());
    EXPECT_FALSE(backups.empty());
    const auto possible = possible_backup_superblocks(made->block_count);
    for (const auto place : backups) EXPECT_TRUE(std::ranges::find(possible, place) != possible.end());
}

INSTANTIATE_TEST_SUITE_P(FormatFilesystem, Sizes,
                         ::testing::Values(4096, 8192, 15872, 15873, 15900, 15940, 31744, 100000, 2000000));

}  // namespace
}  // namespace clusterfs::test
