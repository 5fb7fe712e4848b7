// Mounts whose opens do not reach us: what comes through the kernel's pages, and what is removed while it may be open.
#include <gtest/gtest.h>

#include <condition_variable>

#include "clusterfs/core/operations/names.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/core/operations/remove.hh"
#include "clusterfs/driver/file_read.hh"
#include "tests/unit/clusterfs_driver/rig.hh"

namespace clusterfs::test {
namespace {

struct WithoutOpensTest : testing::Test {
    Rig rig{FilesystemOptions{operations::AccessTimePolicy::never, true, true}};
    std::atomic<bool> written = false;

    void begin_write(operations::InodeReference inode, std::uint64_t offset, const std::string& bytes) {
        written = false;
        rig.begin_buffered_write(inode, offset, bytes, [this](const base::Result<std::uint64_t>& outcome) {
            EXPECT_TRUE(outcome);
            written = true;
        });
    }
    bool is_written() {
        return Rig::comes_true([this] { return written.load(); });
    }
    bool is_released(operations::InodeReference inode) {
        return Rig::comes_true([&] { return rig.locks().released(inode_lock(inode.number)); });
    }
    // This node reads it, under a shared lock: the kernel keeps its pages.
    void read_shared(operations::InodeReference inode) {
        rig.locks().another_node_asks(inode_lock(inode.number), LockMode::exclusive);
        ASSERT_TRUE(is_released(inode));
        std::atomic<bool> answered = false;
        read_file(rig.filesystem(), rig.open_inode(inode), inode, 0, 4096, true,
                  [&](const base::Result<base::ByteView>&) { answered = true; });
        ASSERT_TRUE(Rig::comes_true([&] { return answered.load(); }));
        rig.locks().forget_releases();
    }
    std::size_t whole_drops(operations::InodeReference inode) {
        std::size_t count = 0;
        for (const auto& one : rig.kernel().invalidations()) {
            count += one.node_id == inode.number && one.offset == 0 && one.length == 0 ? 1 : 0;
        }
        return count;
    }
};

// The kernel holds the page until the write is answered, the write waits for a lock that another node has, and that one
// waits for ours.
TEST_F(WithoutOpensTest, AWriteThatWaitsDoesNotKeepTheLock) {
    const auto file = rig.make_file("f", std::string(8192, 'x'));
    read_shared(file);
    rig.locks().withhold(inode_lock(file.number));
    const auto before = whole_drops(file);
    rig.kernel().before_it_forgets([this] { EXPECT_TRUE(is_written()) << "pages are dropped that the kernel holds"; });
    begin_write(file, 0, "new");
    ASSERT_TRUE(Rig::comes_true([&] { return rig.locks().is_asked_for(inode_lock(file.number)); }));
    rig.kernel().before_it_forgets({});
    rig.locks().refuse(inode_lock(file.number));  // two nodes want more than they have
    ASSERT_TRUE(is_released(file));
    EXPECT_EQ(whole_drops(file), before);
    EXPECT_FALSE(written);
    ASSERT_TRUE(Rig::comes_true([&] { return rig.locks().is_asked_for(inode_lock(file.number)); }));
    rig.locks().grant(inode_lock(file.number));
    ASSERT_TRUE(is_written());
    EXPECT_TRUE(Rig::comes_true([&] { return whole_drops(file) > before; })) << "what is stale is dropped afterwards";
}

TEST_F(WithoutOpensTest, AWriteThatComesWhileTheKernelIsAskedFreesTheLock) {
    const auto file = rig.make_file("f", std::string(8192, 'x'));
    read_shared(file);
    std::atomic<bool> is_asked = false;
    rig.kernel().before_it_forgets([&] {
        is_asked = true;
        is_written();  // it holds the page of the write
    });
    rig.locks().another_node_asks(inode_lock(file.number), LockMode::exclusive);
    ASSERT_TRUE(Rig::comes_true([&] { return is_asked.load(); }));
    EXPECT_FALSE(rig.locks().released(inode_lock(file.number)));
    begin_write(file, 0, "new");
    EXPECT_TRUE(is_released(file));
    EXPECT_TRUE(is_written());
    rig.kernel().before_it_forgets({});
    EXPECT_TRUE(Rig::comes_true([&] { return whole_drops(file) > 0; }));
}

// It has put the bytes where it believed the end to be.
TEST_F(WithoutOpensTest, WhatIsNotWhereTheKernelBelievesIsDropped) {
    const auto file = rig.make_file("f", std::string(8192, 'x'));
    begin_write(file, 0, "as believed");
    ASSERT_TRUE(is_written());
    const auto before = whole_drops(file);
    FileWriteRequest append;
    append.shared = rig.open_inode(file);
    append.inode = file;
    append.offset = 100;
    append.append = append.buffered = true;
    append.data = rig.filesystem().driver().buffers().copy(base::as_bytes("abc"));
    written = false;
    write_file(rig.filesystem(), std::move(append), [this](const auto&) { written = true; });
    ASSERT_TRUE(is_written());
    EXPECT_TRUE(Rig::comes_true([&] { return whole_drops(file) > before; }));
}

TEST_F(WithoutOpensTest, WhatTheKernelMayHaveOpenIsDeletedWhenItForgets) {
    const auto file = rig.make_file("f", std::string(8192, 'x'));  // opened
    auto& filesystem = rig.filesystem();
    const auto links = [&] {
        std::atomic<int> found = -2;
        filesystem.run([file](View& view) { return operations::get_attributes(view, file); },
                       [&](const base::Result<operations::Attributes>& attributes) {
                           found = attributes ? static_cast<int>(attributes->links) : -1;
                       });
        Rig::comes_true([&] { return found != -2; });
        return found.load();
    };
    filesystem.keep_for_kernel(file);
    std::atomic<bool> removed = false;
    filesystem.run([root = filesystem.reference(1)](View& view) { return operations::unlink(view, root, "f"); },
                   [&](const base::Result<operations::Removed>& outcome) {
                       EXPECT_TRUE(outcome && outcome->orphaned);
                       removed = true;
                   });
    ASSERT_TRUE(Rig::comes_true([&] { return removed.load(); }));
    EXPECT_EQ(links(), 0);
    filesystem.forgotten(file.number, 1);
    EXPECT_TRUE(Rig::comes_true([&] { return links() == -1; }));
}

}  // namespace
}  // namespace clusterfs::test
