#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "clusterfs/core/check/problem.hh"
#include "clusterfs/format/allocation_group.hh"
#include "clusterfs/format/directory_entry.hh"
#include "clusterfs/format/journal.hh"
#include "clusterfs/format/slot_map.hh"
#include "clusterfs/format/xattr.hh"
#include "tests/unit/clusterfs_format/check_fixture.hh"

namespace clusterfs::test {
namespace {

using checking::Problem;

class Check : public CheckTest {
  protected:
    // Found without writing, found and repaired, and then nothing is left to find.
    void expect_repaired(std::initializer_list<Problem> expected) {
        const auto writes = device_.writes();
        const auto looked = check(true);
        EXPECT_EQ(device_.writes(), writes) << "a check that must not write wrote";
        for (const auto problem : expected) {
            EXPECT_TRUE(looked.problems.contains(problem)) << static_cast<int>(problem) << " not in\n" << looked.text;
        }
        const auto repaired = check(false);
        EXPECT_EQ(repaired.report.left(), 0U) << repaired.text;
        const auto again = check(true);
        EXPECT_EQ(again.report.found + again.report.notes, 0U) << "first:\n"
                                                               << repaired.text << "second:\n"
                                                               << again.text;
    }
    // The entry of that name in an inline directory, to be changed.
    void edit_entry(InodeNumber directory, std::string_view name, const std::function<void(DirectoryEntry&)>& change) {
        edit<Inode>(directory, [&](Inode& inode) {
            EntryReader reader(content_of(inode).first(inode.content_bytes));
            for (EntryView entry; reader.next(entry);) {
                if (entry.name != name) continue;
                change(*reinterpret_cast<DirectoryEntry*>(inode.payload.data() + entry.offset));
                return;
            }
            ADD_FAILURE() << "no entry " << name;
        });
    }
    bool exists(InodeNumber directory, const std::string& name) {
        whole_ = std::make_unique<WholeDevice>(device_, read_superblock(device_, superblock_number).value());
        bool found = false;
        must([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(const auto entry, find_entry(view, directory, name));
            found = entry.has_value();
            return {};
        });
        return found;
    }
};

TEST_F(Check, FindsNothingWrongWithASoundFilesystem) {
    const auto outcome = check(true);
    EXPECT_EQ(outcome.report.found, 0U) << outcome.text;
    EXPECT_EQ(outcome.report.notes, 0U) << outcome.text;
    EXPECT_EQ(outcome.report.files, 406U);
    EXPECT_EQ(outcome.report.directories, 6U);
}

TEST(ProblemTable, HasEveryNumberOnce) {
    std::set<Problem> seen;
    for (const auto& row : checking::problem_table()) EXPECT_TRUE(seen.insert(row.problem).second) << row.message;
    EXPECT_EQ(seen.size(), 42U);
}

TEST_F(Check, Superblock) {
    rot(superblock_number);
    expect_repaired({Problem::superblock_damaged});
}
TEST_F(Check, SuperblockZeroed) {
    zero(superblock_number);
    expect_repaired({Problem::superblock_damaged});
}
TEST_F(Check, BackupSuperblock) {
    zero(15873);
    rot(39999);
    expect_repaired({Problem::backup_differs});
}
TEST_F(Check, MarksInTheSuperblock) {
    edit<Superblock>(superblock_number, [](Superblock& s) { s.state = state_needs_check | state_change_in_progress; });
    expect_repaired({Problem::check_requested, Problem::layout_change_interrupted});
}
TEST_F(Check, UnknownFeatures) {
    edit<Superblock>(superblock_number, [](Superblock& s) { s.ro_compat = 1ULL << 40; });
    checking::CheckOptions options;
    options.read_only = true;
    EXPECT_FALSE(checking::check_filesystem(device_, options));
}
TEST_F(Check, SlotMap) {
    rot(slot_map_number, 10);
    expect_repaired({Problem::slot_map_damaged});
}
TEST_F(Check, SlotLeftMounted) {
    edit<SlotMap>(slot_map_number, [](SlotMap& map) { map.slots[1].state = SlotState::mounted; });
    expect_repaired({Problem::slot_left_mounted});
}
TEST_F(Check, JournalHeader) {
    rot(whole_->superblock().slots[0].journal_first);
    expect_repaired({Problem::journal_header_damaged});
}
TEST_F(Check, JournalLeftDirty) {
    edit<JournalHeader>(whole_->superblock().slots[1].journal_first,
                        [](JournalHeader& journal) { journal.flags = journal_dirty; });
    expect_repaired({Problem::journal_not_replayed});
}
TEST_F(Check, OrphanDirectory) {
    zero(whole_->superblock().slots[1].orphan_directory);
    expect_repaired({Problem::orphan_directory_damaged});
}
TEST_F(Check, RootDirectory) {
    zero(root_);
    expect_repaired({Problem::root_damaged, Problem::unreachable_inode});
    EXPECT_TRUE(exists(root_, "lost+found"));
}
TEST_F(Check, RottenInode) {
    device_.at(inside_).bytes[offsetof(Inode, uid)] ^= std::byte{1};
    expect_repaired({Problem::inode_checksum});
    EXPECT_TRUE(exists(directory_, "inside"));
}
TEST_F(Check, InodeDestroyed) {
    zero(inside_);
    expect_repaired({Problem::inode_damaged, Problem::entry_without_inode});
    EXPECT_FALSE(exists(directory_, "inside"));
}
TEST_F(Check, InodeWithNonsense) {
    edit<Inode>(inside_, [](Inode& inode) { inode.xattr_bytes = 100000; });
    expect_repaired({Problem::inode_damaged});
}
TEST_F(Check, InodeOfNoType) {
    edit<Inode>(inside_, [](Inode& inode) { inode.mode = 0644; });
    expect_repaired({Problem::inode_damaged});
}
TEST_F(Check, DirectoryInodeDestroyed) {
    zero(directory_);
    expect_repaired({Problem::entry_without_inode, Problem::unreachable_inode, Problem::link_count});
}
TEST_F(Check, MisdirectedWrite) {
    device_.at(inside_) = device_.at(small_);
    expect_repaired({Problem::inode_damaged});
}
TEST_F(Check, InlineXattrs) {
    edit<Inode>(small_, [](Inode& inode) {
        ASSERT_GT(inode.xattr_bytes, 0U);
        inode.payload[inode_payload_size - inode.xattr_bytes] = std::byte{0xff};
    });
    expect_repaired({Problem::inline_xattrs_damaged});
}
TEST_F(Check, XattrBlock) {
    rot(owned(big_, BlockType::xattr));
    expect_repaired({Problem::xattr_block_damaged, Problem::free_marked_used});
}
TEST_F(Check, XattrBlockShared) {
    const auto block = owned(big_, BlockType::xattr);
    edit<Inode>(inside_, [&](Inode& inode) { inode.xattr_block = block; });
    expect_repaired({Problem::xattr_block_damaged});
}
TEST_F(Check, BlockCount) {
    edit<Inode>(big_, [](Inode& inode) { inode.blocks += 7; });
    edit<Inode>(wide_, [](Inode& inode) { inode.blocks = 0; });
    expect_repaired({Problem::inode_block_count});
}
TEST_F(Check, ExtentLeafDestroyed) {
    zero(owned(big_, BlockType::extent_leaf));
    expect_repaired({Problem::extent_tree_damaged, Problem::free_marked_used});
}
TEST_F(Check, ExtentsOutOfOrder) {
    edit<TreeNode>(owned(big_, BlockType::extent_leaf), [](TreeNode& node) { node.records[3].key = 0; });
    expect_repaired({Problem::extent_tree_damaged});
}
TEST_F(Check, ExtentLeafOfAnotherFile) {
    edit<TreeNode>(owned(big_, BlockType::extent_leaf), [&](TreeNode& node) { node.header.owner = small_; });
    expect_repaired({Problem::extent_tree_damaged});
}
TEST_F(Check, DataShared) {
    const auto block = root_records_of(on_disk<Inode>(other_))[0].value;
    edit<TreeNode>(owned(big_, BlockType::extent_leaf), [&](TreeNode& node) { node.records[5].value = block + 3; });
    expect_repaired({Problem::block_shared, Problem::free_marked_used});
}
TEST_F(Check, DataOverJournal) {
    const auto journal = whole_->superblock().slots[0].journal_first;
    edit<Inode>(other_, [&](Inode& inode) { root_records_of(inode)[0].value = journal + 5; });
    expect_repaired({Problem::extent_over_fixed});
}
TEST_F(Check, DataOverAnInode) {
    edit<Inode>(other_, [&](Inode& inode) { root_records_of(inode)[0].value = inside_; });
    expect_repaired({Problem::block_shared});
    EXPECT_TRUE(exists(directory_, "inside"));
}
TEST_F(Check, SymlinkWithoutTarget) {
    edit<Inode>(symlink_, [](Inode& inode) { inode.size = 0; });
    expect_repaired({Problem::bad_symlink});
}
TEST_F(Check, OrphanMarkWithoutOrphan) {
    edit<Inode>(inside_, [](Inode& inode) { inode.flags |= inode_orphan; });
    expect_repaired({Problem::orphan_flag});
}
TEST_F(Check, Generation) {
    edit<Inode>(inside_, [](Inode& inode) { inode.generation = 0; });
    expect_repaired({Problem::generation_missing});
}
TEST_F(Check, DirectoryLeafDestroyed) {
    zero(owned(wide_, BlockType::directory_leaf));
    expect_repaired({Problem::directory_damaged, Problem::unreachable_inode});
}
TEST_F(Check, DirectoryLeafRotten) {
    edit<DirectoryLeaf>(owned(wide_, BlockType::directory_leaf), [](DirectoryLeaf& leaf) { leaf.used = 4008; });
    expect_repaired({Problem::directory_damaged});
}
TEST_F(Check, InlineEntriesDamaged) {
    edit_entry(directory_, "inside", [](DirectoryEntry& entry) { entry.length = 3; });
    expect_repaired({Problem::directory_damaged});
}
TEST_F(Check, EntryNumber) {
    edit_entry(directory_, "inside", [](DirectoryEntry& entry) { entry.inode = 99999999; });
    expect_repaired({Problem::entry_number, Problem::unreachable_inode});
}
TEST_F(Check, EntryWithoutInode) {
    edit_entry(directory_, "inside", [](DirectoryEntry& entry) { entry.inode = 39000; });
    expect_repaired({Problem::entry_without_inode, Problem::unreachable_inode});
}
TEST_F(Check, EntryType) {
    edit_entry(directory_, "inside", [](DirectoryEntry& entry) { entry.type = 4; });
    expect_repaired({Problem::entry_type});
}
TEST_F(Check, EntryCookie) {
    edit_entry(root_, "small", [](DirectoryEntry& entry) { entry.cookie += max_collisions; });
    expect_repaired({Problem::entry_cookie});
    EXPECT_TRUE(exists(root_, "small"));
}
TEST_F(Check, EntryTwice) {
    edit<Inode>(directory_, [&](Inode& inode) {
        EntryReader reader(content_of(inode).first(inode.content_bytes));
        EntryView last;
        for (EntryView entry; reader.next(entry);) last = entry;
        const std::string name(last.name);
        write_entry(content_of(inode).subspan(inode.content_bytes), last.inode, last.cookie + 1, last.type, name);
        inode.content_bytes = static_cast<std::uint16_t>(inode.content_bytes + last.length);
    });
    expect_repaired({Problem::entry_twice});
}
TEST_F(Check, DirectoryTreeWithoutLeaves) {
    edit<Inode>(wide_, [](Inode& inode) {
        std::fill_n(root_records_of(inode), root_capacity_of(inode), TreeRecord{});
        root_of(inode).count = 0;
        root_of(inode).level = 0;
        inode.entries = 0;
        inode.blocks = 0;
    });
    expect_repaired({Problem::directory_damaged});
    EXPECT_FALSE(exists(wide_, "any"));
}
TEST_F(Check, EntryCount) {
    edit<Inode>(wide_, [](Inode& inode) { inode.entries = 3; });
    expect_repaired({Problem::entry_count});
}
TEST_F(Check, Parent) {
    edit<Inode>(below_, [&](Inode& inode) { inode.parent = wide_; });
    expect_repaired({Problem::parent_wrong});
}
TEST_F(Check, DirectoryLinkedTwice) {
    edit_entry(root_, "small", [&](DirectoryEntry& entry) { entry.inode = below_; });
    expect_repaired({Problem::directory_linked_twice});
}
TEST_F(Check, DirectoryInsideItself) {
    edit_entry(root_, "directory", [&](DirectoryEntry& entry) { entry.inode = inside_; });
    edit_entry(directory_, "inside", [&](DirectoryEntry& entry) { entry.inode = directory_; });
    expect_repaired({Problem::unreachable_inode});
}
TEST_F(Check, EntryOfSystemInode) {
    const auto orphans = whole_->superblock().slots[0].orphan_directory;
    edit_entry(directory_, "inside", [&](DirectoryEntry& entry) { entry.inode = orphans; });
    edit_entry(directory_, "second", [&](DirectoryEntry& entry) { entry.inode = root_; });
    expect_repaired({Problem::entry_of_system_inode, Problem::unreachable_inode});
}
TEST_F(Check, LinkCount) {
    edit<Inode>(small_, [](Inode& inode) { inode.links = 9; });
    edit<Inode>(directory_, [](Inode& inode) { inode.links = 2; });
    expect_repaired({Problem::link_count});
}
TEST_F(Check, DeletedFileLeft) {
    (void)create_orphan();
    expect_repaired({Problem::deleted_file_left});
}
TEST_F(Check, OrphanWithNames) {
    must([&](View& view) { return operations::add_orphan(view, small_); });
    ASSERT_TRUE(whole_->flush());
    expect_repaired({Problem::orphan_has_names, Problem::orphan_flag});
    EXPECT_TRUE(exists(root_, "small"));
}
TEST_F(Check, DeletedDirectoryWithEntries) {
    const auto orphan = create_orphan();
    edit<Inode>(orphan, [&](Inode& inode) {
        inode.mode = mode_directory | 0700;
        inode.content = Content::directory;
        inode.content_bytes = static_cast<std::uint16_t>(entry_length(4));
        inode.entries = 1;
        inode.parent = root_;
        write_entry(content_of(inode), inside_, cookie_base("name", 17), 8, "name");
    });
    edit_entry(whole_->superblock().slots[0].orphan_directory, operations::orphan_name(orphan),
               [](DirectoryEntry& entry) { entry.type = 4; });
    edit_entry(directory_, "inside", [&](DirectoryEntry& entry) { entry.inode = small_; });
    expect_repaired({Problem::orphan_directory_not_empty, Problem::unreachable_inode});
}
TEST_F(Check, InodeInsideATree) {
    const auto leaf = owned(big_, BlockType::extent_leaf);
    edit<Inode>(other_, [&](Inode& inode) { root_records_of(inode)[0].value = leaf; });
    expect_repaired({Problem::block_shared});
}
TEST_F(Check, MapDestroyed) {
    zero(whole_->superblock().geometry().map_block(1, 0));
    expect_repaired({Problem::map_damaged});
}
TEST_F(Check, MapOfAnotherGroup) {
    const auto geometry = whole_->superblock().geometry();
    edit<AllocationMap>(geometry.map_block(1, 0), [](AllocationMap& map) { map.group = 0; });
    expect_repaired({Problem::map_damaged});
}
TEST_F(Check, UsedMarkedFree) {
    edit<AllocationMap>(whole_->superblock().geometry().map_block(0, 0), [&](AllocationMap& map) {
        map.set_state(static_cast<std::uint32_t>(small_), BlockState::free);
        ++map.free_count;
    });
    expect_repaired({Problem::used_marked_free});
}
TEST_F(Check, FreeMarkedUsed) {
    edit<AllocationMap>(whole_->superblock().geometry().map_block(0, 0), [](AllocationMap& map) {
        map.set_state(15000, BlockState::used);
        --map.free_count;
    });
    expect_repaired({Problem::free_marked_used});
}
TEST_F(Check, MapCounts) {
    edit<AllocationMap>(whole_->superblock().geometry().map_block(0, 0),
                        [](AllocationMap& map) { map.free_count -= 5; });
    expect_repaired({Problem::map_counts});
}

TEST_F(Check, LeavesEverythingWhenTold) {
    zero(inside_);
    const auto outcome = check(false, false);
    EXPECT_GT(outcome.report.left(), 0U);
    EXPECT_TRUE(exists(directory_, "inside"));
}

// The journal whose header stays damaged may hold a record of it.
TEST_F(Check, LeavesFreeMetadataWhereAJournalMayHoldIt) {
    const auto place = whole_->superblock().geometry().map_block(0, 0);
    edit<AllocationMap>(place, [](AllocationMap& map) {
        map.set_state(15000, BlockState::free_metadata);
        --map.free_count;
        ++map.free_metadata_count;
    });
    rot(whole_->superblock().slots[1].journal_first);
    const std::function<bool(const checking::ProblemRow&)> not_the_journal = [](const checking::ProblemRow& row) {
        return row.problem != Problem::journal_header_damaged;
    };
    (void)check(false, not_the_journal);
    EXPECT_EQ(on_disk<AllocationMap>(place).state(15000), BlockState::free_metadata);
    (void)check(false);
    EXPECT_EQ(on_disk<AllocationMap>(place).state(15000), BlockState::free);
}

TEST_F(Check, CopiesSharedDataForTheSecondFile) {
    const auto record = root_records_of(on_disk<Inode>(other_))[0];
    device_.at(record.value).bytes.fill(std::byte{7});
    edit<TreeNode>(owned(big_, BlockType::extent_leaf), [&](TreeNode& node) { node.records[0].value = record.value; });
    expect_repaired({Problem::block_shared});
    whole_ = std::make_unique<WholeDevice>(device_, read_superblock(device_, superblock_number).value());
    for (const auto file : {big_, other_}) {
        must([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(const auto mapping, map_block(view, file, 0, 1));
            EXPECT_FALSE(mapping.is_hole());
            EXPECT_EQ(device_.at(mapping.disk_block).bytes[100], std::byte{7});
            return {};
        });
    }
}

class RandomDamage : public Check {
  protected:
    void SetUp() override {
        Check::SetUp();
        good_ = std::make_unique<MemoryDevice>(device_);
        const auto& layout = whole_->superblock().slots[0];
        for (BlockNumber number = 3; number < device_.block_count(); ++number) {
            const bool in_journal =
                number > layout.journal_first && number < layout.journal_first + layout.journal_blocks;
            if (!device_.has(number) || in_journal) continue;
            if (is_known(on_disk<BlockHeader>(number).magic)) metadata_.push_back(number);
        }
    }
    std::uint32_t next() { return (random_ = random_ * 1664525 + 1013904223) >> 8; }
    void damage() {
        device_ = *good_;
        for (int i = 0; i < 6; ++i) {
            auto& block = device_.at(metadata_[next() % metadata_.size()]);
            for (int bytes = 0; bytes < 4; ++bytes) block.bytes[next() % 400] = static_cast<std::byte>(next());
            if (next() % 4 != 0) seal(block.bytes, block.as<BlockHeader>().sequence);
        }
    }

    std::unique_ptr<MemoryDevice> good_;
    std::vector<BlockNumber> metadata_;
    std::uint32_t random_ = 12345;
};

// Whatever bytes are in metadata, the check ends, and after a repair the second check finds nothing.
TEST_F(RandomDamage, IsRepairedInOneRun) {
    for (int round = 0; round < 100; ++round) {
        damage();
        const auto repaired = check(false);
        ASSERT_EQ(repaired.report.left(), 0U) << repaired.text;
        const auto again = check(true);
        ASSERT_EQ(again.report.found, 0U) << round << "\nfirst:\n" << repaired.text << "second:\n" << again.text;
    }
}

TEST_F(RandomDamage, CanBeRepairedAfterOnlyPartOfItWas) {
    for (int round = 0; round < 100; ++round) {
        damage();
        const auto partly = check(false, [&](const checking::ProblemRow& row) {
            return row.severity != checking::Severity::loss || next() % 2 == 0;
        });
        const auto repaired = check(false);
        ASSERT_EQ(repaired.report.left(), 0U) << repaired.text;
        const auto again = check(true);
        ASSERT_EQ(again.report.found, 0U) << round << "\npartly:\n"
                                          << partly.text << "rest:\n"
                                          << repaired.text << "then:\n"
                                          << again.text;
    }
}

}  // namespace
}  // namespace clusterfs::test
