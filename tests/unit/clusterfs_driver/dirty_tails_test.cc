// Small pieces at the end of a file: read as they were written, on the device before anything that depends on it.
#include <gtest/gtest.h>

#include "clusterfs/driver/file_read.hh"
#include "clusterfs/driver/file_resize.hh"
#include "tests/unit/clusterfs_driver/rig.hh"

namespace clusterfs::test {
namespace {

const std::string head(5000, 'h');  // larger than what an inode holds

struct DirtyTailsTest : testing::Test {
    Rig rig;
    operations::InodeReference file = rig.make_file("f", head);
    std::string model = head;

    void append(const std::string& bytes) {
        rig.write(file, model.size(), bytes);
        model += bytes;
    }
    std::string content(std::uint64_t length) {
        std::string result;
        std::atomic<bool> done = false;
        read_file(rig.filesystem(), rig.open_inode(file), file, 0, length, false,
                  [&](const base::Result<base::ByteView>& bytes) {
                      EXPECT_TRUE(bytes);
                      result.assign(reinterpret_cast<const char*>(bytes->data()), bytes->size());
                      done = true;
                  });
        EXPECT_TRUE(Rig::comes_true([&] { return done.load(); }));
        return result;
    }
    void truncate(std::uint64_t size) {
        std::atomic<bool> done = false;
        resize_file(rig.filesystem(), rig.open_inode(file), file, size, false,
                    [&](const base::Result<operations::Attributes>& attributes) {
                        EXPECT_TRUE(attributes);
                        done = true;
                    });
        ASSERT_TRUE(Rig::comes_true([&] { return done.load(); }));
        model.resize(size);
    }
    void commit() {
        std::atomic<bool> done = false;
        rig.filesystem().driver().commit([&](const base::Result<void>& outcome) {
            EXPECT_TRUE(outcome);
            done = true;
        });
        ASSERT_TRUE(Rig::comes_true([&] { return done.load(); }));
    }
    void give_lock_away() {
        rig.locks().another_node_asks(inode_lock(file.number), LockMode::exclusive);
        ASSERT_TRUE(Rig::comes_true([&] { return rig.locks().released(inode_lock(file.number)); }));
    }
};

TEST_F(DirtyTailsTest, PiecesAreReadAsTheyWereWritten) {
    for (int i = 0; i < 400; ++i) append(std::string(1 + i % 97, static_cast<char>('a' + i % 26)));
    EXPECT_EQ(content(model.size() + 100), model);
    append("more");
    EXPECT_EQ(content(model.size()), model);
}

TEST_F(DirtyTailsTest, ManyPiecesAreOneWrite) {
    append("first");
    const auto before = rig.device().writes();
    for (int i = 0; i < 50; ++i) append("piece");
    EXPECT_EQ(rig.device().writes(), before);
    commit();
    EXPECT_TRUE(rig.device().holds(model.substr(4096)));
}

TEST_F(DirtyTailsTest, TheyAreOnTheDeviceBeforeTheLockIsGivenBack) {
    for (int i = 0; i < 300; ++i) append("line of a log\n");
    EXPECT_FALSE(rig.device().holds(model.substr(8192, 100)));
    give_lock_away();
    EXPECT_TRUE(rig.device().holds(model.substr(8192, 100)));
}

// What the other node wrote meanwhile is in the same block.
TEST_F(DirtyTailsTest, AnImageOfAnEarlierTenureIsNotUsed) {
    append("ours");
    give_lock_away();
    const auto block = rig.device().block_that_holds("hours");
    rig.device().patch(block, "hours", "THEIR");
    const auto at = model.find("hours");
    model.replace(at, 5, "THEIR");
    append("ours again");
    commit();
    EXPECT_EQ(content(model.size()), model);
}

TEST_F(DirtyTailsTest, WhatIsCutOffDoesNotComeBack) {
    append("secret");
    truncate(head.size() + 2);
    append("x");
    truncate(head.size() + 100);
    commit();
    EXPECT_EQ(content(model.size()), model);
}

TEST_F(DirtyTailsTest, AWriteInTheMiddleFindsThePieces) {
    append("0123456789");
    rig.write(file, head.size() + 3, "xyz");
    model.replace(head.size() + 3, 3, "xyz");
    append("end");
    EXPECT_EQ(content(model.size()), model);
}

}  // namespace
}  // namespace clusterfs::test
