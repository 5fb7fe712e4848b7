#include "clusterfs/core/posix_lock_table.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

namespace clusterfs {
namespace {

using enum AdvisoryMode;

const base::GroupMember node_a{{1}, 100};
const base::GroupMember node_b{{2}, 200};

AdvisoryRequest range(std::uint64_t id, base::GroupMember member, std::uint64_t owner, AdvisoryMode mode,
                      std::uint64_t first, std::uint64_t last, bool wait = false, InodeNumber inode = 7) {
    return {id, AdvisoryKind::range, mode, wait, inode, {member, owner}, 4711, first, last};
}

AdvisoryRequest whole_file(std::uint64_t id, base::GroupMember member, AdvisoryMode mode, bool wait = false) {
    return {id, AdvisoryKind::flock, mode, wait, 7, {member, member.process}, 1, 0, advisory_range_end};
}

TEST(PosixLockTable, SharedLocksShareAndExclusiveOnesDoNot) {
    PosixLockTable table;
    PosixLockTable::Woken woken;
    EXPECT_EQ(table.apply(range(1, node_a, 1, shared, 0, 9), woken), AdvisoryVerdict::granted);
    EXPECT_EQ(table.apply(range(2, node_b, 1, shared, 5, 15), woken), AdvisoryVerdict::granted);
    EXPECT_EQ(table.apply(range(3, node_b, 1, exclusive, 0, 3), woken), AdvisoryVerdict::would_block);
    EXPECT_EQ(table.apply(range(4, node_b, 1, exclusive, 10, 20), woken), AdvisoryVerdict::granted);
    const auto conflict = table.conflict(range(5, node_a, 1, shared, 12, 12));
    ASSERT_TRUE(conflict);
    EXPECT_EQ(conflict->first, 10u);
    EXPECT_EQ(conflict->last, 20u);
    EXPECT_EQ(conflict->pid, 4711u);
    table.check_invariants();
}

TEST(PosixLockTable, UnlockingTheMiddleSplitsAndWakesWhoFits) {
    PosixLockTable table;
    PosixLockTable::Woken woken;
    table.apply(range(1, node_a, 1, exclusive, 0, 99), woken);
    EXPECT_EQ(table.apply(range(2, node_b, 1, exclusive, 40, 49, true), woken), AdvisoryVerdict::waiting);
    EXPECT_EQ(table.apply(range(3, node_b, 2, exclusive, 60, 61, true), woken), AdvisoryVerdict::waiting);
    table.apply(range(4, node_a, 1, unlock, 30, 50), woken);
    ASSERT_EQ(woken.size(), 1u);
    EXPECT_EQ(woken[0].id, 2u);
    EXPECT_EQ(table.lock_count(), 3u);
    table.check_invariants();
}

TEST(PosixLockTable, CycleOfTwoOwnersIsADeadlock) {
    PosixLockTable table;
    PosixLockTable::Woken woken;
    table.apply(range(1, node_a, 1, exclusive, 0, 0), woken);
    table.apply(range(2, node_b, 1, exclusive, 0, 0, false, 8), woken);
    EXPECT_EQ(table.apply(range(3, node_a, 1, exclusive, 0, 0, true, 8), woken), AdvisoryVerdict::waiting);
    EXPECT_EQ(table.apply(range(4, node_b, 1, shared, 0, 0, true), woken), AdvisoryVerdict::deadlock);
    EXPECT_TRUE(table.cancel(node_a, 3));
    EXPECT_FALSE(table.cancel(node_a, 3));
    EXPECT_EQ(table.apply(range(5, node_b, 1, shared, 0, 0, true), woken), AdvisoryVerdict::waiting);
}

TEST(PosixLockTable, FlockConversionGivesUpTheOldLockFirst) {
    PosixLockTable table;
    PosixLockTable::Woken woken;
    table.apply(whole_file(1, node_a, shared), woken);
    table.apply(whole_file(2, node_b, shared), woken);
    EXPECT_EQ(table.apply(whole_file(3, node_a, exclusive, true), woken), AdvisoryVerdict::waiting);
    EXPECT_EQ(table.apply(whole_file(4, node_b, exclusive, true), woken), AdvisoryVerdict::waiting);
    ASSERT_EQ(woken.size(), 1u);  // a's conversion, when b gave up its shared lock
    EXPECT_EQ(woken[0].id, 3u);
    table.check_invariants();
}

TEST(PosixLockTable, ADeadMembersLocksGo) {
    PosixLockTable table;
    PosixLockTable::Woken woken;
    table.apply(whole_file(1, node_a, exclusive), woken);
    table.apply(whole_file(2, node_b, shared, true), woken);
    table.remove_member(node_a, woken);
    ASSERT_EQ(woken.size(), 1u);
    table.remove_member(node_b, woken);
    EXPECT_TRUE(table.empty());
}

TEST(PosixLockTable, DamagedBytesAreRefused) {
    PosixLockTable table;
    PosixLockTable::Woken woken;
    table.apply(range(1, node_a, 1, exclusive, 0, 99), woken);
    table.apply(range(2, node_b, 1, exclusive, 0, 9, true), woken);
    base::ByteWriter writer;
    table.encode(writer);
    const auto bytes = writer.take();
    PosixLockTable copy;
    base::ByteReader reader(bytes);
    ASSERT_TRUE(copy.decode(reader));
    EXPECT_EQ(copy, table);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        base::ByteReader short_reader(base::ByteView(bytes).first(length));
        EXPECT_FALSE(copy.decode(short_reader));
        EXPECT_TRUE(copy.empty());
    }
}

// The same rules byte by byte, for a file of 16 bytes and one kind of lock.
struct NaiveFile {
    static constexpr int size = 16;
    std::array<std::map<AdvisoryOwner, AdvisoryMode>, size> bytes;

    bool blocked(const AdvisoryRequest& request) const {
        for (auto at = request.first; at <= request.last; ++at) {
            for (const auto& [owner, mode] : bytes[at]) {
                if (owner != request.owner && (mode == exclusive || request.mode == exclusive)) return true;
            }
        }
        return false;
    }
    void set(const AdvisoryRequest& request) {
        for (auto at = request.first; at <= request.last; ++at) {
            if (request.mode == unlock) {
                bytes[at].erase(request.owner);
            } else {
                bytes[at][request.owner] = request.mode;
            }
        }
    }
};

TEST(PosixLockTable, AgreesWithAByteByByteModel) {
    for (unsigned seed = 1; seed <= 200; ++seed) {
        std::mt19937 random(seed);
        PosixLockTable table;
        NaiveFile naive;
        for (std::uint64_t step = 1; step <= 200; ++step) {
            const auto first = random() % NaiveFile::size;
            const auto last = first + random() % (NaiveFile::size - first);
            const auto mode = static_cast<AdvisoryMode>(random() % 3);
            const auto request = range(step, random() % 2 ? node_a : node_b, 1 + random() % 3, mode, first, last);
            PosixLockTable::Woken woken;
            const bool blocked = mode != unlock && naive.blocked(request);
            const auto verdict = table.apply(request, woken);
            ASSERT_EQ(verdict, blocked ? AdvisoryVerdict::would_block : AdvisoryVerdict::granted) << seed;
            if (!blocked) naive.set(request);
            table.check_invariants();
        }
    }
}

}  // namespace
}  // namespace clusterfs
