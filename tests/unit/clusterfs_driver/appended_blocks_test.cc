// Whole blocks at the end of a file: answered when they are on their way, found by whoever looks for them.
#include <gtest/gtest.h>

#include "clusterfs/driver/file_read.hh"
#include "clusterfs/driver/file_resize.hh"
#include "tests/unit/clusterfs_driver/rig.hh"

namespace clusterfs::test {
namespace {

using Flag = std::atomic<bool>;

bool comes(const Flag& flag) {
    return Rig::comes_true([&] { return flag.load(); });
}
// Long enough for what would be wrong.
bool stays_away(const Flag& flag) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    return !flag;
}

std::string blocks(std::size_t count, char letter) { return std::string(count * block_size, letter); }

struct AppendedBlocksTest : testing::Test {
    Rig rig;
    operations::InodeReference file = rig.make_file("f", "");
    std::string model;

    ~AppendedBlocksTest() override { rig.device().thaw_writes(); }

    void append(const std::string& bytes) {
        rig.write(file, model.size(), bytes);
        model += bytes;
    }
    void begin_append(const std::string& bytes, Flag& done, base::Result<std::uint64_t>* outcome = nullptr) {
        rig.begin_write(file, model.size(), bytes, [&done, outcome](const auto& written) {
            if (outcome != nullptr) *outcome = written;
            done = true;
        });
        model += bytes;
    }
    // As much is under way as may be.
    void fill_the_room() {
        constexpr std::size_t piece = 1024 * 1024;
        rig.device().freeze_writes();
        for (std::size_t sum = 0; sum < BlocksUnderWay::most; sum += piece) append(std::string(piece, 'a'));
    }
    // One write, and the device has answered it.
    void append_what_is_refused() {
        rig.device().refuses = 1;
        append(blocks(3, 'a'));
        ASSERT_TRUE(Rig::comes_true([&] {
            base::JsonWriter json;
            rig.filesystem().driver().appended().blocks().describe(json);
            return json.text().find("\"refused\":1") != std::string::npos;
        }));
    }
    void begin_read(std::string& content, Flag& done) {
        read_file(rig.filesystem(), rig.open_inode(file), file, 0, model.size() + 1, false,
                  [&](const base::Result<base::ByteView>& bytes) {
                      if (bytes) content = base::as_text(*bytes);
                      done = true;
                  });
    }
    std::string content() {
        std::string result;
        Flag done = false;
        begin_read(result, done);
        EXPECT_TRUE(comes(done));
        return result;
    }
    void begin_commit(base::Result<void>& outcome, Flag& done) {
        rig.filesystem().driver().commit([&](const base::Result<void>& committed) {
            outcome = committed;
            done = true;
        });
    }
    void truncate(std::uint64_t size) {
        Flag done = false;
        resize_file(rig.filesystem(), rig.open_inode(file), file, size, false, [&](const auto&) { done = true; });
        ASSERT_TRUE(comes(done));
        model.resize(size);
    }
    void give_lock_away() {
        rig.locks().forget_releases();
        rig.locks().another_node_asks(inode_lock(file.number), LockMode::exclusive);
        ASSERT_TRUE(Rig::comes_true([&] { return rig.locks().released(inode_lock(file.number)); }));
    }
};

TEST_F(AppendedBlocksTest, AreAnsweredBeforeTheyAreOnTheDevice) {
    rig.device().freeze_writes();
    append(blocks(3, 'a'));
    append(blocks(1, 'b') + "and the end");
    EXPECT_FALSE(rig.device().holds("aaaa"));
    rig.device().thaw_writes();
    EXPECT_EQ(content(), model);
}

TEST_F(AppendedBlocksTest, AReaderWaitsForThem) {
    rig.device().freeze_writes();
    append(blocks(3, 'a'));
    std::string found;
    Flag done = false;
    begin_read(found, done);
    EXPECT_TRUE(stays_away(done));
    rig.device().thaw_writes();
    ASSERT_TRUE(comes(done));
    EXPECT_EQ(found, model);
}

TEST_F(AppendedBlocksTest, ACommitWaitsForThem) {
    rig.device().freeze_writes();
    append(blocks(3, 'a'));
    base::Result<void> outcome;
    Flag done = false;
    begin_commit(outcome, done);
    EXPECT_TRUE(stays_away(done));
    rig.device().thaw_writes();
    ASSERT_TRUE(comes(done));
    EXPECT_TRUE(outcome);
}

TEST_F(AppendedBlocksTest, TheLockIsNotGivenBackBefore) {
    rig.device().freeze_writes();
    append(blocks(3, 'a'));
    rig.locks().forget_releases();
    rig.locks().another_node_asks(inode_lock(file.number), LockMode::exclusive);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_FALSE(rig.locks().released(inode_lock(file.number)));
    rig.device().thaw_writes();
    ASSERT_TRUE(Rig::comes_true([&] { return rig.locks().released(inode_lock(file.number)); }));
    EXPECT_TRUE(rig.device().holds("aaaa"));
}

TEST_F(AppendedBlocksTest, NoMoreThanSoManyBytesAreUnderWay) {
    fill_the_room();
    Flag done = false;
    begin_append(blocks(1, 'b'), done);
    EXPECT_TRUE(stays_away(done));
    rig.device().thaw_writes();
    EXPECT_TRUE(comes(done));
    EXPECT_EQ(content(), model);
}

TEST_F(AppendedBlocksTest, AWriteOverThemComesAfterThem) {
    rig.device().freeze_writes();
    append(blocks(3, 'a'));
    Flag done = false;
    rig.begin_write(file, 100, "over", [&](const auto&) { done = true; });
    EXPECT_TRUE(stays_away(done));
    rig.device().thaw_writes();
    ASSERT_TRUE(comes(done));
    model.replace(100, 4, "over");
    EXPECT_EQ(content(), model);
}

TEST_F(AppendedBlocksTest, WhatIsCutOffDoesNotComeBack) {
    append(blocks(3, 'a'));
    truncate(100);
    append("x");
    truncate(3 * block_size);
    EXPECT_EQ(content(), model);
}

TEST_F(AppendedBlocksTest, ABlockThatTheDeviceRefusedIsWrittenOnceMore) {
    append_what_is_refused();
    base::Result<void> outcome;
    Flag done = false;
    begin_commit(outcome, done);
    ASSERT_TRUE(comes(done));
    EXPECT_TRUE(outcome);
    EXPECT_EQ(content(), model);
}

TEST_F(AppendedBlocksTest, ACommitWithoutThemFails) {
    rig.device().refuses = 1000;
    append(blocks(3, 'a'));
    base::Result<void> outcome;
    Flag done = false;
    begin_commit(outcome, done);
    ASSERT_TRUE(comes(done));
    EXPECT_FALSE(outcome);
    rig.device().refuses = 0;
}

// Else what is answered while nothing arrives would fill the memory until the next commit.
TEST_F(AppendedBlocksTest, ADeviceThatRefusesIsGivenNoMore) {
    append_what_is_refused();
    base::Result<std::uint64_t> outcome;
    Flag done = false;
    begin_append(blocks(1, 'b'), done, &outcome);
    ASSERT_TRUE(comes(done));
    EXPECT_FALSE(outcome);
    model.resize(3 * block_size);
    EXPECT_EQ(content(), model);
    append(blocks(1, 'c'));
    EXPECT_EQ(content(), model);
}

// The kernel is cut off while a write waits for room: the mount ends when that has ended.
TEST_F(AppendedBlocksTest, AWriteThatWaitsIsDoneBeforeTheMountEnds) {
    fill_the_room();
    Flag done = false;
    begin_append(blocks(2, 'b'), done);
    rig.filesystem().driver().stop();
    EXPECT_TRUE(stays_away(done));
    rig.device().thaw_writes();
    EXPECT_TRUE(comes(done));
    EXPECT_TRUE(Rig::comes_true([&] { return rig.has_stopped(); }));
    EXPECT_TRUE(rig.device().holds("bbbb"));
}

// Pieces of every size and position within a block, as cp, tar and logs write them.
TEST_F(AppendedBlocksTest, AnyPiecesAreReadAsTheyWereWritten) {
    std::uint32_t random = 1;
    for (int i = 0; i < 300; ++i) {
        random = random * 1664525U + 1013904223U;
        const bool is_whole = i % 7 == 0;
        const auto length = is_whole ? block_size * (1 + i % 5) : 1 + (random >> 8) % (i % 3 == 0 ? 20000U : 300U);
        append(std::string(length, static_cast<char>('a' + i % 26)));
        if (i % 50 == 49) {
            EXPECT_EQ(content(), model);
        }
        if (i % 60 == 59) give_lock_away();
        if (i % 90 == 89) truncate(model.size() - length / 2);
    }
    EXPECT_EQ(content(), model);
}

}  // namespace
}  // namespace clusterfs::test
