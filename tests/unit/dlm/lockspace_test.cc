#include "dlm/core/lockspace.hh"

#include <gtest/gtest.h>

#include <ctime>

#include "tests/unit/dlm/node_group.hh"

namespace dlm {
namespace {

bool is_withheld(NodeGroup& group, std::uint32_t node) {
    base::JsonWriter json;
    group[node].lockspace->describe(json, {}, true);
    return json.text().find("\"withheld_for\":[]") == std::string::npos;
}

bool saw(const NodeGroup::Node& node, NodePhase phase) {
    return std::any_of(node.notices.begin(), node.notices.end(), [&](const auto& each) { return each.phase == phase; });
}

TEST(Lockspace, OneMemberSendsNothing) {
    NodeGroup group;
    const auto a = group.add();
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(group.holds(a, group.request(a, "n" + std::to_string(i), Mode::EX)));
    EXPECT_EQ(group.messages, 0u);
}

TEST(Lockspace, NothingIsGrantedWithoutQuorum) {
    NodeGroup group;
    const auto a = group.add(false);
    const auto lock = group.request(a, "n", Mode::PR);
    group.settle();
    EXPECT_EQ(group.completion(a, lock), nullptr);
    group.step(a, QuorumChanged{true});
    group.settle();
    EXPECT_TRUE(group.holds(a, lock));
    group.step(a, QuorumChanged{false});
    const auto later = group.request(a, "m", Mode::PR);
    group.settle();
    EXPECT_EQ(group.completion(a, later), nullptr);
    group.step(a, QuorumChanged{true});
    group.settle();
    EXPECT_TRUE(group.holds(a, later));
}

// All pairs of modes between two nodes, whoever is master.
TEST(Lockspace, AllPairsAcrossNodes) {
    NodeGroup group;
    const std::uint32_t nodes[] = {group.add(), group.add()};
    int number = 0;
    for (const Mode held : all_modes) {
        for (const Mode asked : all_modes) {
            for (const int first : {0, 1}) {
                const Name name = "n" + std::to_string(number++);
                ASSERT_TRUE((group.request(nodes[first], name, held), group.settle(), true));
                const auto lock = group.request(nodes[1 - first], name, asked, Flag::no_queue);
                group.settle();
                EXPECT_EQ(group.holds(nodes[1 - first], lock), compatible(held, asked)) << text_of(held);
                EXPECT_TRUE(group[nodes[first]].blocking.empty());
            }
        }
    }
}

TEST(Lockspace, AWrongSecretEndsOnlyWhoHasNotTakenPart) {
    NodeGroup group;
    const auto a = group.add();
    group.step(a, SecretRefused{"wrong"});
    EXPECT_FALSE(group[a].lost);
    NodeGroup waiting;
    waiting.nobody_missing = false;
    const auto b = waiting.add();
    waiting.step(b, SecretRefused{"wrong"});
    EXPECT_TRUE(waiting[b].lost);
}

TEST(Lockspace, FirstLockerMastersAndAnUnusedNameIsForgotten) {
    NodeGroup group;
    const auto a = group.add();
    const auto b = group.add();
    std::vector<LockId> locks;
    for (int i = 0; i < 20; ++i) locks.push_back(group.request(a, "n" + std::to_string(i), Mode::EX));
    group.settle();
    const auto before = group.messages;
    for (int i = 0; i < 20; ++i) group.step(a, UnlockRequested{locks[static_cast<std::size_t>(i)], {}, {}});
    for (int i = 0; i < 20; ++i) group.request(a, "n" + std::to_string(i), Mode::NL);
    group.settle();
    EXPECT_EQ(group.messages, before);  // a masters them all
    const auto one = group.request(a, "gone", Mode::EX);
    group.settle();
    group.step(a, UnlockRequested{one, {}, {}});
    group.now = {base::Duration::seconds(11).nanoseconds};
    group.step(a, TimePassed{});
    group.step(b, TimePassed{});
    group.settle();
    const auto lock = group.request(b, "gone", Mode::EX);
    group.settle();
    EXPECT_TRUE(group.holds(b, lock));
}

// The table "what a dead node leaves behind" of dlm/README.md: every pair of modes, master dead or alive.
TEST(Lockspace, WhatADeadNodeLeavesBehind) {
    for (const Mode dead_mode : all_modes) {
        for (const Mode own_mode : all_modes) {
            if (!compatible(dead_mode, own_mode)) continue;
            for (const bool dead_masters : {false, true}) {
                NodeGroup group;
                const auto survivor = group.add();
                const auto dead = group.add();
                LockId own = 0;
                if (dead_masters) {
                    group.request(dead, "n", dead_mode, Flag::value_block);
                    group.settle();
                    own = group.request(survivor, "n", own_mode, Flag::value_block);
                } else {
                    own = group.request(survivor, "n", own_mode, Flag::value_block);
                    group.settle();
                    group.request(dead, "n", dead_mode, Flag::value_block);
                }
                group.settle();
                group.remove(dead, base::LeaveReason::node_down);
                ASSERT_EQ(group[survivor].fences.size(), 1u);
                EXPECT_FALSE(saw(group[survivor], NodePhase::recovered));
                const auto early = group.request(survivor, "other", Mode::NL);
                group.settle();
                EXPECT_EQ(group.completion(survivor, early), nullptr) << "granted before the fence";
                group.fence(dead);
                EXPECT_TRUE(saw(group[survivor], NodePhase::recovered));
                const std::string what = std::string(text_of(dead_mode)) + " " + std::string(text_of(own_mode)) +
                                         (dead_masters ? " dead masters" : "");
                group.step(survivor, UnlockRequested{early, {}, {}});
                group.now = {base::Duration::seconds(20).nanoseconds};
                group.step(survivor, TimePassed{});  // only "n" is left
                const bool withheld = dead_masters ? !excludes_writers(own_mode) : may_write(dead_mode);
                EXPECT_EQ(is_withheld(group, survivor), withheld) << what;
                const bool valid = dead_masters ? own_mode > Mode::CR : dead_mode != Mode::PW && dead_mode != Mode::EX;
                const auto reader = group.request(survivor, "n", Mode::NL, Flag::value_block);
                ASSERT_TRUE(group.holds(survivor, reader)) << what;
                EXPECT_EQ(group.completion(survivor, reader)->value->valid, valid) << what;
                const auto waiting = group.request(survivor, "n", Mode::CR);
                if (compatible(own_mode, Mode::CR)) {
                    EXPECT_EQ(group.holds(survivor, waiting), !withheld) << what;
                    const auto repair = group.request(survivor, "n", Mode::CR, Flag::recovery);
                    EXPECT_TRUE(group.holds(survivor, repair)) << what;
                }
                group.step(survivor, DeadReleaseRequested{group[dead].self.life});
                group.settle();
                EXPECT_FALSE(is_withheld(group, survivor)) << what;
                EXPECT_EQ(group.holds(survivor, waiting), compatible(own_mode, Mode::CR)) << what;
                group.step(survivor, UnlockRequested{own, {}, {}});
            }
        }
    }
}

// A name that was not known before the death may have been the dead node's.
TEST(Lockspace, UnknownNamesAreWithheldToo) {
    NodeGroup group;
    const auto a = group.add();
    const auto b = group.add();
    group.remove(b, base::LeaveReason::process_down);
    group.fence(b);
    const auto lock = group.request(a, "fresh", Mode::EX);
    EXPECT_FALSE(group.holds(a, lock));
    group.step(a, DeadReleaseRequested{group[b].self.life});
    group.settle();
    EXPECT_TRUE(group.holds(a, lock));
}

// Who repaired it was cut off when it said so, and nobody repairs a second time.
TEST(Lockspace, AReleaseThatOnlyOneSideHeardIsToldAgain) {
    NodeGroup group;
    const auto a = group.add();
    const auto b = group.add();
    const auto c = group.add();
    for (int i = 0; i < 10; ++i) group.request(c, "n" + std::to_string(i), Mode::EX);
    group.settle();
    group.remove(c, base::LeaveReason::node_down);
    group.fence(c);
    ASSERT_TRUE(saw(group[a], NodePhase::recovered));
    group.cut_off(a);
    group.step(a, DeadReleaseRequested{group[c].self.life});
    group.settle();
    const auto early = group.request(b, "n0", Mode::EX);
    EXPECT_FALSE(group.holds(b, early));
    group.join_again(a);
    EXPECT_TRUE(group.holds(b, early));
    for (int i = 1; i < 10; ++i) {
        const auto lock = group.request(b, "n" + std::to_string(i), Mode::EX);
        group.settle();
        EXPECT_TRUE(group.holds(b, lock)) << i;
    }
}

// What is told again is that life, not another one of its node or one that died meanwhile.
TEST(Lockspace, AReleaseToldAgainReleasesNobodyElse) {
    NodeGroup group;
    const auto a = group.add();
    const auto b = group.add();
    const auto c = group.add();
    const auto d = group.add();
    group.remove(c, base::LeaveReason::node_down);
    group.fence(c);
    group.cut_off(a);
    group.step(a, DeadReleaseRequested{group[c].self.life});
    group.settle();
    group.remove(d, base::LeaveReason::node_down);
    group.join_again(a);
    group.fence(d);
    ASSERT_TRUE(saw(group[b], NodePhase::recovered));
    const auto lock = group.request(b, "n", Mode::EX);
    group.settle();
    EXPECT_FALSE(group.holds(b, lock));
    group.step(b, DeadReleaseRequested{group[d].self.life});
    group.settle();
    EXPECT_TRUE(group.holds(b, lock));
}

// The release says that what c may have written is repaired, not that the master has its value block. And b's client
// has to know, too.
TEST(Lockspace, AReleaseBeforeTheRebuildIsKnownToBeDone) {
    NodeGroup group;
    const auto a = group.add();
    const auto b = group.add();
    const auto c = group.add();
    group.request(b, "n", Mode::NL, Flag::value_block);
    group.settle();
    group.request(c, "n", Mode::EX, Flag::value_block);
    group.settle();
    // c dies in a rebuild in which b has not heard it.
    const auto from_c = [&](std::uint32_t to, const Event& event) {
        const auto* arrived = std::get_if<PeerMessageArrived>(&event);
        return to == b && arrived != nullptr && arrived->session == group[c].self.session;
    };
    group.is_lost = from_c;
    group.add();
    group.remove(c, base::LeaveReason::node_down);
    // b rebuilds without it, and does not hear that all have.
    group.is_lost = [&](std::uint32_t to, const Event& event) {
        const auto* delivered = std::get_if<GroupMessageDelivered>(&event);
        return to == b && delivered != nullptr && std::holds_alternative<Resumed>(delivered->message);
    };
    group.fence(c);
    ASSERT_TRUE(saw(group[a], NodePhase::recovered));
    ASSERT_FALSE(saw(group[b], NodePhase::recovered));
    group.cut_off(b);
    group.is_lost = {};
    group.step(a, DeadReleaseRequested{group[c].self.life});
    group.settle();
    group.join_again(b);
    EXPECT_TRUE(saw(group[b], NodePhase::recovered));
    const auto reader = group.request(b, "n", Mode::PR, Flag::value_block);
    group.settle();
    ASSERT_TRUE(group.holds(b, reader));
    EXPECT_FALSE(group.completion(b, reader)->value->valid);
}

// b leaves, and has forgotten the locks that it mastered: c has told others of its own, not b. Then c dies before that
// generation is completed.
TEST(Lockspace, WhoLeavesDoesNotKnowWhatADeadNodeHeld) {
    NodeGroup group;
    const auto a = group.add();
    const auto b = group.add();
    const auto c = group.add();
    std::vector<LockId> of_master;
    for (int i = 0; i < 10; ++i) of_master.push_back(group.request(b, "n" + std::to_string(i), Mode::NL));
    group.settle();
    std::vector<LockId> held;
    for (int i = 0; i < 10; ++i) held.push_back(group.request(c, "n" + std::to_string(i), Mode::EX));
    group.settle();
    for (const auto lock : held) ASSERT_TRUE(group.holds(c, lock));
    for (const auto lock : of_master) group.step(b, UnlockRequested{lock, {}, {}});
    group.settle();
    group.is_lost = [](std::uint32_t, const Event& event) {
        const auto* delivered = std::get_if<GroupMessageDelivered>(&event);
        return delivered != nullptr && std::holds_alternative<Resumed>(delivered->message);
    };
    group.step(b, LeaveRequested{});
    group.settle();
    group.is_lost = {};
    group.remove(c, base::LeaveReason::node_down);
    group.fence(c);
    group.settle();
    ASSERT_TRUE(saw(group[a], NodePhase::recovered));
    std::vector<LockId> locks;
    for (int i = 0; i < 10; ++i) locks.push_back(group.request(a, "n" + std::to_string(i), Mode::EX));
    group.settle();
    for (const auto lock : locks) EXPECT_FALSE(group.holds(a, lock));
    group.step(a, DeadReleaseRequested{group[c].self.life});
    group.settle();
    for (const auto lock : locks) EXPECT_TRUE(group.holds(a, lock));
}

TEST(Lockspace, LeavingKeepsLocksAndValues) {
    NodeGroup group;
    const auto a = group.add();
    const auto b = group.add();
    std::vector<LockId> of_a;
    std::vector<LockId> of_b;
    for (int i = 0; i < 10; ++i) of_a.push_back(group.request(a, "n" + std::to_string(i), Mode::EX, Flag::value_block));
    group.settle();
    ValueBytes value{};
    value[0] = std::byte{7};
    for (int i = 0; i < 10; ++i) {
        const auto id = of_a[static_cast<std::size_t>(i)];
        of_b.push_back(group.request(b, "n" + std::to_string(i), Mode::NL));
        group.settle();
        group.step(a, UnlockRequested{id, Flag::value_block, value});
    }
    group.settle();
    group.step(a, LeaveRequested{});
    group.settle();
    EXPECT_TRUE(group[a].left);
    EXPECT_TRUE(group[b].fences.empty());
    for (int i = 0; i < 10; ++i) {
        const auto lock = group.request(b, "n" + std::to_string(i), Mode::EX, Flag::value_block);
        ASSERT_TRUE(group.holds(b, lock));
        EXPECT_EQ(group.completion(b, lock)->value->bytes, value);
        EXPECT_TRUE(group.completion(b, lock)->value->valid);
    }
}

// b is not told that its value was stored; a forgets the name, and c becomes its master.
TEST(Lockspace, AWrittenValueToldAgainMakesNoSecondMaster) {
    NodeGroup group;
    const auto a = group.add();
    const auto b = group.add();
    const auto c = group.add();
    constexpr int names = 40;
    std::vector<LockId> of_a;
    std::vector<LockId> of_b;
    for (int i = 0; i < names; ++i) of_a.push_back(group.request(a, "n" + std::to_string(i), Mode::NL));
    group.settle();
    for (int i = 0; i < names; ++i)
        of_b.push_back(group.request(b, "n" + std::to_string(i), Mode::EX, Flag::value_block));
    group.settle();
    group.is_lost = [&](std::uint32_t to, const Event& event) {
        const auto* arrived = std::get_if<PeerMessageArrived>(&event);
        return to == b && arrived != nullptr && std::holds_alternative<ValueStored>(arrived->message.body);
    };
    for (const auto lock : of_a) group.step(a, UnlockRequested{lock, {}, {}});
    for (const auto lock : of_b) group.step(b, UnlockRequested{lock, Flag::value_block, {}});
    group.settle();
    group.now = {base::Duration::seconds(11).nanoseconds};
    group.step(a, TimePassed{});
    group.settle();
    for (int i = 0; i < names; ++i) group.request(c, "n" + std::to_string(i), Mode::EX);
    group.settle();
    group.add();
    for (int i = 0; i < names; ++i) {
        const auto lock = group.request(b, "n" + std::to_string(i), Mode::EX, Flag::no_queue);
        group.settle();
        EXPECT_FALSE(group.holds(b, lock)) << i;
    }
}

// b is not told that its value was stored; a forgets the name and makes it anew before b tells it again.
TEST(Lockspace, AForgottenValueDoesNotComeBack) {
    NodeGroup group;
    const auto a = group.add();
    const auto b = group.add();
    ValueBytes old{};
    old[0] = std::byte{7};
    ValueBytes fresh{};
    fresh[0] = std::byte{8};
    auto keeps = group.request(a, "n", Mode::NL);
    group.settle();
    for (int i = 0; i < 5; ++i) {
        const auto lock = group.request(b, "n", Mode::EX, Flag::value_block);
        group.settle();
        if (i == 4) group.is_lost = [&](std::uint32_t to, const Event&) { return to == b; };
        if (i == 4) group.step(a, UnlockRequested{keeps, {}, {}});
        group.step(b, UnlockRequested{lock, Flag::value_block, old});
        group.settle();
    }
    group.now = {base::Duration::seconds(11).nanoseconds};
    group.step(a, TimePassed{});
    keeps = group.request(a, "n", Mode::NL);
    const auto writer = group.request(a, "n", Mode::EX, Flag::value_block);
    group.settle();
    ASSERT_TRUE(group.holds(a, writer));
    group.step(a, UnlockRequested{writer, Flag::value_block, fresh});
    group.settle();
    group.is_lost = {};
    group.add();
    const auto reader = group.request(a, "n", Mode::PR, Flag::value_block);
    group.settle();
    ASSERT_TRUE(group.holds(a, reader));
    EXPECT_EQ(group.completion(a, reader)->value->bytes, fresh);
}

TEST(Lockspace, WhoLeavesGetsNothingMore) {
    NodeGroup group;
    const auto a = group.add();
    group.add();
    group.step(a, LeaveRequested{});
    const auto lock = group.request(a, "n", Mode::EX);
    ASSERT_NE(group.completion(a, lock), nullptr);
    EXPECT_EQ(group.completion(a, lock)->outcome, Outcome::cancelled);
    group.settle();
    EXPECT_TRUE(group[a].left);
}

TEST(Lockspace, AHundredThousandLocksAreRebuiltInTime) {
    NodeGroup group;
    const auto a = group.add();
    const auto b = group.add();
    for (int i = 0; i < 50000; ++i) {
        group.request(a, "a" + std::to_string(i), Mode::EX);
        group.request(b, "b" + std::to_string(i), Mode::PR);
    }
    group.settle();
    group.remove(b, base::LeaveReason::node_down);
    const auto start = std::clock();
    group.fence(b);
    const auto milliseconds = (std::clock() - start) / (CLOCKS_PER_SEC / 1000);
    EXPECT_TRUE(saw(group[a], NodePhase::recovered));
    std::printf("100000 locks, one of two nodes died: rebuilt in %ld ms of processor time\n", milliseconds);
    EXPECT_LT(milliseconds, 10000);
}

}  // namespace
}  // namespace dlm
