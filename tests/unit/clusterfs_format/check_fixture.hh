// A small filesystem with one of everything, ways to damage it, and checks of it.
#pragma once

#include <set>

#include "clusterfs/core/check/check_filesystem.hh"
#include "clusterfs/core/directory.hh"
#include "clusterfs/core/extent_map.hh"
#include "clusterfs/core/operations/names.hh"
#include "clusterfs/core/operations/orphans.hh"
#include "clusterfs/core/xattr.hh"
#include "clusterfs/format/block_seal.hh"
#include "tests/unit/clusterfs_format/filesystem_fixture.hh"

namespace clusterfs::test {

class CheckTest : public FilesystemTest {
  protected:
    void SetUp() override {
        FilesystemTest::SetUp();
        root_ = whole_->superblock().root_inode;
        small_ = create(root_, "small");
        big_ = create(root_, "big");
        fill_big();
        other_ = create(root_, "other");
        fill_other();
        directory_ = create(root_, "directory", mode_directory | 0755);
        inside_ = create(directory_, "inside");
        below_ = create(directory_, "below", mode_directory | 0755);
        (void)create(below_, "deep");
        make_wide();
        must([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(const auto made, operations::symlink(view, {root_, 0}, "link", "small", {}));
            symlink_ = made.inode;
            BASE_TRY(operations::link(view, {small_, 0}, {directory_, 0}, "second"));
            BASE_TRY(put_xattr(view, small_, "user.short", base::as_bytes("value")));
            const std::string long_value(3000, 'x');
            return put_xattr(view, big_, "user.long", base::as_bytes(long_value));
        });
        auto flushed = whole_->flush();
        ASSERT_TRUE(flushed) << flushed.error().message();
    }

    InodeNumber create(InodeNumber in, const std::string& name, std::uint32_t mode = mode_regular | 0644) {
        InodeNumber made = 0;
        must([&](View& view) -> base::Result<void> {
            operations::NewFile what;
            what.mode = mode;
            BASE_ASSIGN(const auto attributes, operations::create(view, {in, 0}, name, what));
            made = attributes.inode;
            return {};
        });
        return made;
    }
    InodeNumber create_orphan(std::uint32_t mode = mode_regular | 0600) {
        InodeNumber made = 0;
        must([&](View& view) -> base::Result<void> {
            operations::NewFile what;
            what.mode = mode;
            BASE_ASSIGN(const auto attributes, operations::create_temporary(view, {root_, 0}, what));
            made = attributes.inode;
            return {};
        });
        EXPECT_TRUE(whole_->flush());
        return made;
    }
    void extend(InodeNumber file, std::uint64_t first, std::uint64_t count) {
        must([&](View& view) -> base::Result<void> {
            BASE_TRY(allocate_range(view, file, first, count));
            BASE_TRY(mark_written(view, file, first, count));
            BASE_ASSIGN(auto* inode, modify_inode(view, file));
            inode->size = (first + count) * block_size;
            return {};
        });
    }
    void fill_big() {
        must([&](View& view) { return make_extents(view, big_); });
        for (std::uint64_t i = 0; i < 800; i += 2) extend(big_, i, 1);
    }
    void fill_other() {
        must([&](View& view) { return make_extents(view, other_); });
        extend(other_, 0, 20);
    }
    void make_wide() {
        wide_ = create(root_, "wide", mode_directory | 0755);
        for (int i = 0; i < 400; ++i)
            (void)create(wide_, "a file with a rather long name, number " + std::to_string(i));
    }

    template <typename T>
    const T& on_disk(BlockNumber number) {
        return device_.at(number).as<T>();
    }
    // Changes a block on the device and seals it again, as if it had been written so.
    template <typename T, typename Change>
    void edit(BlockNumber number, Change change) {
        auto& block = device_.at(number);
        change(block.as<T>());
        seal(block.bytes, block.as<BlockHeader>().sequence);
    }
    void rot(BlockNumber number, std::size_t offset = 2000) { device_.at(number).bytes[offset] ^= std::byte{0x40}; }
    void zero(BlockNumber number) { device_.at(number) = Block{}; }

    // The first block of that type that the inode owns.
    BlockNumber owned(InodeNumber inode, BlockType type) {
        for (BlockNumber number = 1; number < device_.block_count(); ++number) {
            if (!device_.has(number)) continue;
            const auto& header = on_disk<BlockHeader>(number);
            if (header.magic == type && header.owner == inode && header.number == number) return number;
        }
        ADD_FAILURE() << "inode " << inode << " has no " << text_of(type);
        return 0;
    }

    struct Outcome {
        checking::CheckReport report;
        std::set<checking::Problem> problems;
        std::string text;
    };
    Outcome check(bool read_only, bool yes = true) {
        return check(read_only, [yes](const checking::ProblemRow&) { return yes; });
    }
    Outcome check(bool read_only, const std::function<bool(const checking::ProblemRow&)>& answer) {
        Outcome outcome;
        checking::CheckOptions options;
        options.read_only = read_only;
        options.now = {++now_};
        options.decide = [&](const checking::ProblemRow& row, const std::string& detail) {
            outcome.problems.insert(row.problem);
            outcome.text += std::string(row.message) + " (" + detail + ")\n";
            return answer(row);
        };
        auto report = checking::check_filesystem(device_, options);
        EXPECT_TRUE(report) << report.error().message();
        if (report) outcome.report = *report;
        return outcome;
    }

    InodeNumber root_ = 0;
    InodeNumber small_ = 0;
    InodeNumber big_ = 0;    // 400 extents in a tree of two levels; a block of xattrs
    InodeNumber other_ = 0;  // 20 blocks in one extent
    InodeNumber directory_ = 0;
    InodeNumber inside_ = 0;
    InodeNumber below_ = 0;
    InodeNumber wide_ = 0;  // a hashed directory
    InodeNumber symlink_ = 0;
};

}  // namespace clusterfs::test
