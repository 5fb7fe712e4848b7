// Files: large and fragmented ones, crashes between the two halves of a write, times and privileges.
#include <gtest/gtest.h>

#include "clusterfs/core/error.hh"
#include "clusterfs/core/operations/attributes.hh"
#include "clusterfs/core/operations/names.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/core/operations/remove.hh"
#include "clusterfs/core/operations/statistics.hh"
#include "tests/unit/clusterfs_operations/file_io.hh"

namespace clusterfs::test {
namespace {

using namespace operations;

class FilesTest : public ::testing::Test {
  protected:
    explicit FilesTest(std::uint64_t blocks = 40000) : cluster_(blocks) {}

    InodeReference root() const { return {cluster_.root(), 0}; }
    MemoryNode& a() { return cluster_[0]; }
    MemoryNode& b() { return cluster_[1]; }
    InodeReference make(std::string_view name, std::uint32_t permissions = 0644) {
        auto made = a().get([&](View& view) {
            return create(view, root(), name, {mode_regular | permissions, 0, {1, 2, 0}});
        });
        EXPECT_TRUE(made) << made.error().message();
        return {made->inode, made->generation};
    }
    void write(MemoryNode& node, InodeReference file, std::uint64_t offset, std::string_view data) {
        auto done = write_file(node, cluster_, file, offset, data);
        ASSERT_TRUE(done) << done.error().message();
        ASSERT_EQ(*done, data.size());
    }
    std::string content(MemoryNode& node, InodeReference file) {
        auto read = read_file(node, cluster_, file, 0, 1 << 30);
        EXPECT_TRUE(read) << read.error().message();
        return *read;
    }
    Attributes attributes(MemoryNode& node, InodeReference file) {
        return *node.get([&](View& view) { return get_attributes(view, file); });
    }
    std::uint64_t free_blocks() { return a().get(StatisticsCount{})->free; }
    int delete_all(MemoryNode& node, InodeReference file) {
        for (int steps = 1;; ++steps) {
            auto step = node.get([&](View& view) { return delete_orphan(view, file); });
            EXPECT_TRUE(step) << step.error().message();
            if (!step || *step != Deletion::more) return steps;
        }
    }

    MemoryCluster cluster_;
};

TEST_F(FilesTest, SmallFilesLiveInTheInodeAndMoveOut) {
    const auto file = make("f");
    std::string expected;
    for (int i = 0; i < 300; ++i) {
        const auto record = "record " + std::to_string(i) + "\n";
        auto& node = cluster_[static_cast<std::size_t>(i % 2)];
        auto done = write_file(node, cluster_, file, 0, record, true);
        ASSERT_TRUE(done) << done.error().message();
        expected += record;
        EXPECT_EQ(attributes(a(), file).blocks, expected.size() > 3840 ? 1U : 0U);
    }
    EXPECT_EQ(content(b(), file), expected);
    EXPECT_EQ(a().pin_count() + b().pin_count(), 0U);
}

TEST_F(FilesTest, AFragmentedFileIsFreedInBoundedSteps) {
    const auto free = free_blocks();
    const auto file = make("f");
    for (std::uint64_t i = 0; i < 9000; ++i) write(a(), file, i * 2 * block_size, "x");
    EXPECT_GT(attributes(b(), file).blocks, 9000U);
    ASSERT_TRUE(b().get([&](View& view) { return open(view, file); }));
    ASSERT_TRUE(a().get([&](View& view) { return unlink(view, root(), "f"); }));
    b().unpin(open_lock(file.number));
    delete_all(b(), file);
    EXPECT_EQ(free_blocks(), free);
    EXPECT_LE(b().largest_transaction, max_operation_blocks);
}

TEST_F(FilesTest, ATruncationThatWasInterruptedShowsNoOldData) {
    const auto file = make("f");
    for (std::uint64_t i = 0; i < 9000; ++i) write(a(), file, i * 2 * block_size, std::string(5000, 'o'));
    // Only the first step is done, as by a node that died then.
    auto step = a().get([&](View& view) { return resize(view, file, 10, false, 0); });
    ASSERT_TRUE(step) << step.error().message();
    EXPECT_EQ(attributes(b(), file).size, 10U);
    EXPECT_EQ(cluster_.damage(), std::vector<std::string>());
    write(b(), file, 20'000'000, "new");
    const auto seen = content(a(), file);
    EXPECT_EQ(seen.size(), 20'000'003U);
    EXPECT_EQ(seen.substr(0, 10), std::string(10, 'o'));
    EXPECT_EQ(seen.substr(10, 20'000'000 - 10).find_first_not_of('\0'), std::string::npos);
    EXPECT_EQ(seen.substr(20'000'000), "new");
}

TEST_F(FilesTest, ATruncationLeavesWhatAnotherNodeWritesBetweenItsSteps) {
    const auto file = make("f");
    for (std::uint64_t i = 0; i < 9000; ++i) write(a(), file, i * 2 * block_size, std::string(5000, 'o'));
    // Its blocks are in several groups, whose locks the other node has: freed one after the other.
    auto step = b().get([&](View& view) { return resize(view, file, 10, false, 0); });
    ASSERT_TRUE(step) << step.error().message();
    ASSERT_TRUE(!step->done && step->shortened);
    write(a(), file, 10, "new");
    while (step && !step->done) {
        step = b().get([&](View& view) { return resize(view, file, 10, false, 0, true); });
    }
    ASSERT_TRUE(step) << step.error().message();
    EXPECT_EQ(content(b(), file), std::string(10, 'o') + "new");
    EXPECT_EQ(cluster_.damage(), std::vector<std::string>());
}

TEST_F(FilesTest, AWriteThatWasNotFinishedShowsNothing) {
    const auto file = make("f");
    write(a(), file, 0, std::string(100, 'a'));
    const std::string data(9000, 'b');
    for (int round = 0; round < 2; ++round) {
        auto plan = a().get([&](View& view) {
            return begin_write(view, {file, 50, false, false, base::as_bytes(data)});
        });
        ASSERT_TRUE(plan) << plan.error().message();
        EXPECT_FALSE(plan->done);
        ASSERT_TRUE(a().run([&](View& view) { return abandon_write(view, file, *plan); }));
        for (const auto& name : plan->pins) a().unpin(name);
        EXPECT_EQ(content(b(), file), std::string(100, 'a'));
    }
    EXPECT_EQ(attributes(a(), file).blocks, 0U);
    EXPECT_TRUE(a().get([&](View& view) { return list_orphans(view, 0, 0, 10); })->empty());
}

TEST_F(FilesTest, AStagingOrphanOfADeadNodeIsDeleted) {
    const auto free = free_blocks();
    const auto file = make("f");
    write(a(), file, 0, std::string(3000, 'a'));
    const std::string data(3000, 'b');
    auto plan = a().get([&](View& view) {
        return begin_write(view, {file, 3000, false, false, base::as_bytes(data)});
    });
    ASSERT_TRUE(plan);
    for (const auto& name : plan->pins) a().unpin(name);
    auto orphans = b().get([&](View& view) { return list_orphans(view, 0, 0, 10); });
    ASSERT_EQ(orphans->size(), 1U);
    EXPECT_EQ(cluster_.damage(), std::vector<std::string>());
    delete_all(b(), orphans->front());
    EXPECT_EQ(content(b(), file), std::string(3000, 'a'));
    EXPECT_EQ(free_blocks() + 1, free);
}

TEST_F(FilesTest, WritingAndGivingAwayTakeSetIds) {
    const auto file = make("f", 06755);
    auto plan = a().get([&](View& view) { return begin_write(view, {file, 0, false, true, base::as_bytes("x")}); });
    ASSERT_TRUE(plan);
    EXPECT_EQ(attributes(b(), file).mode & 07777U, 0755U);
    AttributeChange back;
    back.permissions = 06744;
    ASSERT_TRUE(b().get([&](View& view) { return set_attributes(view, file, back); }));
    AttributeChange owner;
    owner.uid = 7;
    ASSERT_TRUE(b().get([&](View& view) { return set_attributes(view, file, owner); }));
    // sgid without the group's x bit means mandatory locking, not privilege: it stays.
    EXPECT_EQ(attributes(a(), file).mode & 07777U, 02744U);
    EXPECT_EQ(attributes(a(), file).uid, 7U);
}

// Nothing but data is written then: the inode's record need not wait for it.
TEST_F(FilesTest, AnOverwriteChangesTheInodeBeforeTheData) {
    const auto file = make("f", 06755);
    write(a(), file, 0, std::string(8192, 'a'));
    cluster_.now.nanoseconds += 1'000'000'000;
    const auto data = std::string(100, 'b');
    auto plan = a().get([&](View& view) { return begin_write(view, {file, 50, false, true, base::as_bytes(data)}); });
    ASSERT_TRUE(plan && plan->replaces_old);
    EXPECT_EQ(attributes(a(), file).modified, cluster_.now);
    EXPECT_EQ(attributes(a(), file).mode & 07777U, 0755U);
    const auto before = cluster_.now;
    cluster_.now.nanoseconds += 1'000'000'000;
    ASSERT_TRUE(a().run([&](View& view) { return finish_write(view, file, *plan, true); }));
    EXPECT_EQ(attributes(a(), file).modified, before);
}

TEST_F(FilesTest, TimesFollowTheRules) {
    const auto file = make("f");
    const auto made = attributes(a(), file);
    EXPECT_TRUE(access_time_due(made, AccessTimePolicy::relative, cluster_.now));
    cluster_.now.nanoseconds += 1'000'000'000;
    ASSERT_TRUE(b().run([&](View& view) { return note_access(view, file, AccessTimePolicy::relative); }));
    const auto read = attributes(a(), file);
    EXPECT_EQ(read.accessed, cluster_.now);
    EXPECT_EQ(read.changed, made.changed);
    EXPECT_FALSE(access_time_due(read, AccessTimePolicy::relative, cluster_.now));
    cluster_.now.nanoseconds += 1'000'000'000;
    write(b(), file, 0, "data");
    const auto written = attributes(a(), file);
    EXPECT_EQ(written.modified, cluster_.now);
    EXPECT_EQ(written.changed, cluster_.now);
    EXPECT_TRUE(access_time_due(written, AccessTimePolicy::relative, cluster_.now));
    EXPECT_FALSE(access_time_due(written, AccessTimePolicy::never, cluster_.now));
    // The other node has the lock and the last access is a second ago: not worth taking it.
    ASSERT_TRUE(a().run([&](View& view) { return note_access(view, file, AccessTimePolicy::relative); }));
    EXPECT_EQ(attributes(a(), file).accessed, read.accessed);
    cluster_.now.nanoseconds += 60'000'000'000;
    ASSERT_TRUE(a().run([&](View& view) { return note_access(view, file, AccessTimePolicy::relative); }));
    EXPECT_EQ(attributes(b(), file).accessed, cluster_.now);
}

TEST_F(FilesTest, SizesAreLimited) {
    const auto file = make("f");
    EXPECT_EQ(write_file(a(), cluster_, file, max_file_size, "x").error().code, std::errc::file_too_large);
    EXPECT_EQ(truncate_file(a(), cluster_, file, max_file_size + 1).error().code, std::errc::file_too_large);
    ASSERT_TRUE(truncate_file(a(), cluster_, file, max_file_size));
    EXPECT_EQ(attributes(b(), file).size, max_file_size);
    EXPECT_EQ(attributes(b(), file).blocks, 0U);
    ASSERT_TRUE(truncate_file(b(), cluster_, file, 0));
    EXPECT_EQ(write_file(a(), cluster_, root(), 0, "x").error().code, std::errc::is_a_directory);
}

class FullDeviceTest : public FilesTest {
  protected:
    FullDeviceTest() : FilesTest(4096) {}
};

TEST_F(FullDeviceTest, EverythingCanBeRemoved) {
    const auto free = free_blocks();
    std::vector<InodeReference> files;
    for (int i = 0;; ++i) {
        auto made = a().get([&](View& view) {
            return create(view, root(), "file-with-a-long-name-" + std::to_string(i), {mode_regular | 0644, 0, {}});
        });
        if (!made) {
            EXPECT_EQ(made.error().code, std::errc::no_space_on_device);
            break;
        }
        files.push_back({made->inode, made->generation});
        if (i % 3 == 0) (void)write_file(b(), cluster_, files.back(), 0, std::string(9000, 'x'));
    }
    EXPECT_GT(files.size(), 100U);
    // Open ones go to the orphan directory, which must find room.
    for (const auto& file : files) ASSERT_TRUE(b().get([&](View& view) { return open(view, file); }));
    for (std::size_t i = 0; i < files.size(); ++i) {
        auto gone =
            a().get([&](View& view) { return unlink(view, root(), "file-with-a-long-name-" + std::to_string(i)); });
        ASSERT_TRUE(gone) << i << ": " << gone.error().message();
    }
    for (const auto& file : files) {
        b().unpin(open_lock(file.number));
        delete_all(b(), file);
    }
    EXPECT_EQ(free_blocks(), free);
}

}  // namespace
}  // namespace clusterfs::test
