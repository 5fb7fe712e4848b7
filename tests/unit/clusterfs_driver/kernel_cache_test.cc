// What the kernel has cached is dropped before it is wrong: for another node and for writers of this one.
#include <gtest/gtest.h>

#include "clusterfs/driver/file_read.hh"
#include "clusterfs/driver/file_resize.hh"
#include "tests/unit/clusterfs_driver/rig.hh"

namespace clusterfs::test {
namespace {

struct KernelCacheTest : testing::Test {
    Rig rig;
    std::atomic<bool> answered = false;

    void begin_cached_read(operations::InodeReference inode, std::shared_ptr<OpenInode> shared, std::uint64_t offset) {
        read_file(rig.filesystem(), std::move(shared), inode, offset, 4096, true,
                  [this](const base::Result<base::ByteView>& bytes) {
                      EXPECT_TRUE(bytes);
                      answered = true;
                  });
    }
    bool is_answered() {
        return Rig::comes_true([this] { return answered.load(); });
    }
    bool dropped(operations::InodeReference inode, std::uint64_t offset) {
        for (const auto& one : rig.kernel().invalidations()) {
            const bool reaches = one.length == 0 || offset < one.offset + one.length;
            if (one.node_id == inode.number && one.offset <= offset && reaches) return true;
        }
        return false;
    }
};

// The lock was parked and given back without a word to the kernel, whose page came with the answer.
TEST_F(KernelCacheTest, AReadUnderWayIsDroppedForAnotherNode) {
    const auto file = rig.make_file("f", std::string(8192, 'x'));
    rig.device().freeze_reads();
    begin_cached_read(file, rig.open_inode(file), 0);
    ASSERT_TRUE(Rig::comes_true([&] { return rig.device().held_reads() == 1; }));
    rig.locks().another_node_asks(inode_lock(file.number), LockMode::exclusive);
    EXPECT_TRUE(Rig::comes_true([&] { return dropped(file, 0); }));
    EXPECT_FALSE(rig.locks().released(inode_lock(file.number)));
    rig.device().thaw_reads();
    EXPECT_TRUE(is_answered());
    EXPECT_TRUE(Rig::comes_true([&] { return rig.locks().released(inode_lock(file.number)); }));
}

// Nothing of it is on the device: it went out without a pin, and the lock could be gone before it arrived.
TEST_F(KernelCacheTest, TheLockStaysUntilASmallFileWasAnswered) {
    const auto file = rig.make_file("f", "small");
    bool released_early = false;
    read_file(rig.filesystem(), rig.open_inode(file), file, 0, 4096, true, [&](const base::Result<base::ByteView>&) {
        rig.locks().another_node_asks(inode_lock(file.number), LockMode::exclusive);
        Rig::comes_true([&] { return dropped(file, 0); });
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        released_early = rig.locks().released(inode_lock(file.number));
    });
    EXPECT_FALSE(released_early);
    EXPECT_TRUE(Rig::comes_true([&] { return rig.locks().released(inode_lock(file.number)); }));
}

// Only reads that went to the device and began after the write were looked at.
TEST_F(KernelCacheTest, AWriteDropsWhatThisNodeReadBefore) {
    for (const auto* content : {"small", "", "on the device"}) {
        const std::string bytes = content[0] == 'o' ? std::string(8192, 'x') : content;
        const auto file = rig.make_file("file " + std::to_string(bytes.size()), bytes);
        const auto shared = rig.open_inode(file);
        answered = false;
        begin_cached_read(file, shared, 0);
        ASSERT_TRUE(is_answered());
        rig.write(file, 0, "new");
        EXPECT_TRUE(dropped(file, 0)) << "content: " << content;
        const auto told = rig.kernel().invalidations().size();
        rig.write(file, 0, "newer");
        EXPECT_EQ(rig.kernel().invalidations().size(), told) << "there is nothing left to drop";
    }
}

TEST_F(KernelCacheTest, AWriteElsewhereInTheFileDropsNothing) {
    const auto file = rig.make_file("f", std::string(16384, 'x'));
    const auto shared = rig.open_inode(file);
    begin_cached_read(file, shared, 4096);
    ASSERT_TRUE(is_answered());
    rig.write(file, 8192, "behind");
    rig.write(file, 0, std::string(4096, 'b'));
    EXPECT_FALSE(dropped(file, 4096));
    rig.write(file, 8191, "across");
    EXPECT_TRUE(dropped(file, 8191));
}

TEST_F(KernelCacheTest, ATruncationDropsWhatItCutsOff) {
    const auto file = rig.make_file("f", std::string(16384, 'x'));
    const auto shared = rig.open_inode(file);
    begin_cached_read(file, shared, 8192);
    ASSERT_TRUE(is_answered());
    std::atomic<bool> done = false;
    resize_file(rig.filesystem(), shared, file, 100, false, [&](const auto& outcome) {
        EXPECT_TRUE(outcome);
        EXPECT_TRUE(dropped(file, 8192));
        done = true;
    });
    EXPECT_TRUE(Rig::comes_true([&] { return done.load(); }));
}

// After a second of "I do not know that inode" it was given up, and the lock given back.
TEST_F(KernelCacheTest, TheLockWaitsForAKernelThatIsSlowToLearn) {
    const auto file = rig.make_file("f", "small");
    begin_cached_read(file, rig.open_inode(file), 0);
    ASSERT_TRUE(is_answered());
    rig.kernel().ignorant = 1500;
    rig.locks().another_node_asks(inode_lock(file.number), LockMode::exclusive);
    ASSERT_TRUE(Rig::comes_true([&] { return rig.locks().released(inode_lock(file.number)); }));
    EXPECT_EQ(rig.kernel().ignorant, 0);
    EXPECT_TRUE(dropped(file, 0));
}

}  // namespace
}  // namespace clusterfs::test
