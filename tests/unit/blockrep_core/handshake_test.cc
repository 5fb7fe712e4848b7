// Every combination of generations, crashes, roles, disks and bits: both sides must come to mirrored verdicts.
#include "blockrep/core/handshake.hh"

#include <gtest/gtest.h>

#include <set>

namespace blockrep {
namespace {

constexpr GenerationId A = 0x10, B = 0x20, C = 0x30;

StateReport report(GenerationId current, GenerationId bitmap, GenerationId first, GenerationId second) {
    StateReport report;
    report.disk = DiskState::UpToDate;
    report.generations = {current, bitmap, {first, second, 0, 0}};
    report.data_size = 1 << 30;
    return report;
}

void expect_mirrored(const StateReport& a, const StateReport& b) {
    const auto one = decide_handshake(a, b, true);
    const auto other = decide_handshake(b, a, false);
    EXPECT_EQ(one.disagreement, other.disagreement);
    if (one.disagreement != Disagreement::none) return;
    EXPECT_EQ(one.extent, other.extent) << "rules " << one.rule << " and " << other.rule;
    EXPECT_EQ(one.direction == SyncDirection::none, other.direction == SyncDirection::none);
    if (one.direction == SyncDirection::none) return;
    EXPECT_NE(one.direction, other.direction) << "rules " << one.rule << " and " << other.rule;
}

std::vector<StateReport> all_generations() {
    std::vector<StateReport> all;
    const GenerationId ids[] = {0, just_created, A, B, C};
    for (const auto current : ids) {
        for (const auto bitmap : {GenerationId{0}, A, B, C}) {
            for (const auto first : {GenerationId{0}, A, B}) {
                for (const auto second : {GenerationId{0}, A}) all.push_back(report(current, bitmap, first, second));
            }
        }
    }
    return all;
}

TEST(Handshake, GenerationsGiveMirroredVerdicts) {
    const auto all = all_generations();
    std::set<int> seen;
    for (const auto& a : all) {
        for (const auto& b : all) {
            expect_mirrored(a, b);
            seen.insert(compare_generations(a, b, true).rule);
        }
    }
    for (const auto rule : {10, 20, 30, 34, 35, 36, 37, 40, 50, 60, 70, 80, 90, 100, 110}) {
        EXPECT_TRUE(seen.contains(rule)) << "rule " << rule << " is never met";
    }
}

TEST(Handshake, StatesGiveMirroredVerdicts) {
    const DiskState disks[] = {DiskState::Diskless, DiskState::Inconsistent, DiskState::Outdated, DiskState::Consistent,
                               DiskState::UpToDate};
    std::vector<StateReport> all;
    for (const auto& generations :
         {report(A, 0, 0, 0), report(A, B, 0, 0), report(B, A, 0, 0), report(just_created, 0, 0, 0)}) {
        for (const auto disk : disks) {
            for (int bits = 0; bits < 16; ++bits) {
                auto state = generations;
                state.disk = disk;
                state.role = (bits & 1) != 0 ? Role::Primary : Role::Secondary;
                state.crashed_primary = (bits & 2) != 0;
                state.dirty_bits = (bits & 4) != 0 ? 7 : 0;
                state.discard_my_data = (bits & 8) != 0;
                all.push_back(state);
            }
        }
    }
    for (const auto& a : all) {
        for (const auto& b : all) expect_mirrored(a, b);
    }
}

TEST(Handshake, NeverCopiesFromTheInconsistentSide) {
    auto bad = report(A, 0, 0, 0);
    bad.disk = DiskState::Inconsistent;
    for (const auto& good : all_generations()) {
        const auto result = decide_handshake(good, bad, true);
        EXPECT_NE(result.direction, SyncDirection::target);
    }
}

TEST(Handshake, SplitBrainNeedsAVictim) {
    auto a = report(B, A, 0, 0);
    auto b = report(C, A, 0, 0);
    EXPECT_EQ(decide_handshake(a, b, true).disagreement, Disagreement::split_brain);
    b.discard_my_data = true;
    EXPECT_EQ(decide_handshake(a, b, true).direction, SyncDirection::source);
    EXPECT_EQ(decide_handshake(b, a, false).direction, SyncDirection::target);
}

TEST(Handshake, APrimaryNeverLosesItsData) {
    auto a = report(A, 0, 0, 0);
    a.role = Role::Primary;
    EXPECT_EQ(decide_handshake(a, report(B, A, 0, 0), true).disagreement, Disagreement::primary_would_lose);
}

StateReport primary_attached_again() {
    auto one = report(A, 0, 0, 0);
    one.disk = DiskState::Consistent;
    one.role = Role::Primary;
    one.crashed_primary = true;
    return one;
}

// Two Primaries whose disks were away: one that missed writes is a target; two that each missed the other's are equal.
TEST(Handshake, MissedWritesCountAgainstOneSideOnly) {
    auto a = primary_attached_again();
    auto b = a;
    a.missed_writes = true;
    EXPECT_EQ(disk_that_counts(a, b), DiskState::Inconsistent);
    EXPECT_EQ(disk_that_counts(b, a), DiskState::Consistent);
    auto target = a;
    target.disk = disk_that_counts(a, b);
    EXPECT_EQ(decide_handshake(target, b, true).direction, SyncDirection::target);
    b.missed_writes = true;
    EXPECT_EQ(disk_that_counts(a, b), DiskState::Consistent);
    expect_mirrored(a, b);
    EXPECT_EQ(decide_handshake(a, b, true).disagreement, Disagreement::none);
    EXPECT_EQ(decide_handshake(a, b, true).extent, SyncExtent::bitmap);
}

// Two Primaries whose disks failed at once: whoever has kept what it answered knows better; if neither has, nobody
// does.
TEST(Handshake, AFlushThatFailedCountsAgainstADisk) {
    auto a = primary_attached_again();
    auto b = a;
    a.missed_writes = b.missed_writes = true;
    for (const bool orders : {false, true}) {
        a.cache_lost = true;
        b.cache_lost = false;
        expect_mirrored(a, b);
        EXPECT_EQ(decide_handshake(a, b, orders).direction, SyncDirection::target);
        EXPECT_EQ(decide_handshake(b, a, orders).direction, SyncDirection::source);
        b.cache_lost = true;
        expect_mirrored(a, b);
        EXPECT_EQ(decide_handshake(a, b, orders).disagreement, Disagreement::both_caches_lost);
    }
    // b had heard of a's loss, and lost its own disk before that was on it.
    b.missed_writes = false;
    EXPECT_EQ(decide_handshake(a, b, true).disagreement, Disagreement::both_caches_lost);
    a.cache_lost = false;
    EXPECT_EQ(disk_that_counts(a, b), DiskState::Consistent);
    expect_mirrored(a, b);
    EXPECT_EQ(decide_handshake(a, b, true).disagreement, Disagreement::none);
    EXPECT_EQ(decide_handshake(a, b, true).direction, SyncDirection::source);
    a.cache_lost = true;
    b.role = Role::Secondary;
    EXPECT_EQ(decide_handshake(a, b, true).disagreement, Disagreement::both_caches_lost);
    // b is Secondary and had lost its disk; a, which had heard of that, failed to flush before it was recorded.
    a.missed_writes = false;
    EXPECT_EQ(decide_handshake(a, b, true).disagreement, Disagreement::both_caches_lost);
    b.cache_lost = false;
    expect_mirrored(a, b);
    EXPECT_EQ(decide_handshake(a, b, true).direction, SyncDirection::target);
    EXPECT_EQ(decide_handshake(a, b, true).disagreement, Disagreement::none);
    auto began = b;
    began.generations.bitmap = B;
    EXPECT_EQ(decide_handshake(a, began, true).direction, SyncDirection::target) << "the resync had not begun here";
    EXPECT_EQ(decide_handshake(a, began, true).disagreement, Disagreement::none);
    b.cache_lost = true;
    a.role = Role::Secondary;
    EXPECT_EQ(decide_handshake(a, b, true).disagreement, Disagreement::none) << "as after a crash of both";
}

// What it had not flushed is lost with the peer's power; ours was away meanwhile, but the peer never went on without
// it.
TEST(Handshake, APrimaryMissedNothingOfAPeerThatDiedBeforeItWentOn) {
    auto a = primary_attached_again();
    auto b = a;
    b.role = Role::Secondary;
    a.missed_writes = true;
    EXPECT_EQ(disk_that_counts(a, b), DiskState::Consistent);
    expect_mirrored(a, b);
    EXPECT_EQ(decide_handshake(a, b, false).direction, SyncDirection::source);
    auto that_went_on = report(B, A, 0, 0);
    that_went_on.disk = DiskState::UpToDate;
    EXPECT_EQ(disk_that_counts(a, that_went_on), DiskState::Inconsistent);
    a.cache_lost = true;
    EXPECT_EQ(disk_that_counts(a, b), DiskState::Inconsistent);
}

TEST(Handshake, BitsWithoutAGenerationAreNotForgotten) {
    auto a = report(A, 0, 0, 0);
    a.dirty_bits = 1;
    EXPECT_EQ(decide_handshake(a, report(A, 0, 0, 0), true).direction, SyncDirection::source);
}

}  // namespace
}  // namespace blockrep
