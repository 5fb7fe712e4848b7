// Who has a machine shot for a mount, and who is told that a mount is dead; the group and the machines are stand-ins.
#include "clusterfs/driver/mount_lives.hh"

#include <gtest/gtest.h>

#include "base/io/random.hh"
#include "tests/unit/dlm/driver/fake_group.hh"

namespace clusterfs {
namespace {

using base::Duration;
using base::NodeIncarnation;

class Machines : public base::FenceGate {
  public:
    void request_fence(const NodeIncarnation& victim, const std::string&) override { wanted.insert(victim); }
    void withdraw_fence(const NodeIncarnation& victim) override { wanted.erase(victim); }
    void on_fenced(FencedCallback callback) override { callbacks.push_back(std::move(callback)); }
    void when_nobody_is_missing(std::function<void()> go_on) override { go_on(); }
    void die(const NodeIncarnation& machine) {
        for (const auto& tell : callbacks) tell(machine);
    }
    std::set<NodeIncarnation> wanted;
    std::vector<FencedCallback> callbacks;
};

// One mount on one machine.
struct Mounted {
    Mounted(base::EventLoop& loop, dlm::FakeBus& bus, std::uint32_t node, std::uint32_t pid)
        : machine{{node}, base::random_uuid()},
          mount{{node}, base::random_uuid()},
          process{{node}, pid},
          lives(loop, std::make_unique<dlm::FakeGroup>(bus, loop, process), machines, mount,
                machine.incarnation) {
        EXPECT_TRUE(lives.start("r0", {}));
        lives.on_fenced([this](const NodeIncarnation& dead) { fenced.insert(dead); });
    }
    NodeIncarnation machine;
    NodeIncarnation mount;
    base::GroupMember process;
    Machines machines;
    MountLives lives;
    std::set<NodeIncarnation> fenced;
};

class MountLivesTest : public ::testing::Test {
  protected:
    // Everything that is posted by then has run.
    void settle() {
        for (int i = 0; i < 20; ++i) {
            const auto timer = loop_.after(Duration::milliseconds(1), [this] { loop_.stop(); });
            loop_.run();
        }
    }
    void witness(const Mounted& of, std::uint32_t process, LifeMessage::Type type) {
        const base::GroupMember member{of.mount.node, process};
        bus_.join(member, loop_, {[](const auto&) {}, [](const auto&, auto) {}, {}});
        bus_.multicast(member, encode({type, of.mount.incarnation, of.machine.incarnation, {}}));
    }

    base::EventLoop loop_;
    dlm::FakeBus bus_;
};

TEST_F(MountLivesTest, AMachineThatIsGoneIsFencedAndItsMountDeadWithIt) {
    Mounted a(loop_, bus_, 1, 10);
    Mounted b(loop_, bus_, 2, 20);
    settle();
    bus_.remove(b.process, base::LeaveReason::node_down);
    settle();
    EXPECT_TRUE(a.machines.wanted.empty()) << "nobody needs it dead";
    a.lives.request_fence(b.mount, "lost");
    EXPECT_TRUE(a.machines.wanted.contains(b.machine));
    a.machines.die(b.machine);
    settle();
    EXPECT_TRUE(a.fenced.contains(b.mount));
}

TEST_F(MountLivesTest, WhoComesLaterCanWaitForAMountThatItHasNeverMet) {
    Mounted a(loop_, bus_, 1, 10);
    auto old_b = std::make_unique<Mounted>(loop_, bus_, 2, 20);
    settle();
    bus_.remove(old_b->process, base::LeaveReason::node_down);
    settle();
    Mounted new_b(loop_, bus_, 2, 21);
    new_b.lives.request_fence(old_b->mount, "told by the lockspace before the lives were");
    settle();
    EXPECT_TRUE(new_b.machines.wanted.contains(old_b->machine));
    new_b.machines.die(old_b->machine);
    settle();
    EXPECT_TRUE(new_b.fenced.contains(old_b->mount));
}

TEST_F(MountLivesTest, WhatIsCertifiedIsToldToWhoComesLater) {
    Mounted a(loop_, bus_, 1, 10);
    auto old_b = std::make_unique<Mounted>(loop_, bus_, 2, 20);
    settle();
    bus_.remove(old_b->process, base::LeaveReason::node_down);
    a.machines.die(old_b->machine);
    settle();
    Mounted new_b(loop_, bus_, 2, 21);
    settle();
    EXPECT_TRUE(new_b.fenced.contains(old_b->mount));
}

TEST_F(MountLivesTest, ADeadMountBesideItsWitnessCostsNoMachine) {
    Mounted a(loop_, bus_, 1, 10);
    Mounted b(loop_, bus_, 2, 20);
    witness(b, 21, LifeMessage::Type::witness);
    settle();
    bus_.remove(b.process, base::LeaveReason::process_down);
    a.lives.request_fence(b.mount, "lost");
    bool went_on = false;
    a.lives.when_nobody_is_missing([&] { went_on = true; });
    settle();
    EXPECT_TRUE(a.machines.wanted.empty());
    EXPECT_FALSE(went_on) << "what it had in flight may still be under way";
    bus_.multicast({{2}, 21}, encode({LifeMessage::Type::drained, b.mount.incarnation, b.machine.incarnation, {}}));
    settle();
    EXPECT_TRUE(a.fenced.contains(b.mount));
    EXPECT_TRUE(went_on);
    EXPECT_TRUE(a.machines.wanted.empty());
}

TEST_F(MountLivesTest, AMachineIsWantedAsLongAsOneOfItsMountsIs) {
    Mounted a(loop_, bus_, 1, 10);
    Mounted first(loop_, bus_, 2, 20);
    Mounted second(loop_, bus_, 2, 21);
    const LifeMessage moved{LifeMessage::Type::mount, second.mount.incarnation, first.machine.incarnation, {}};
    settle();
    bus_.multicast(second.process, encode(moved));
    settle();
    bus_.remove(first.process, base::LeaveReason::node_down);
    bus_.remove(second.process, base::LeaveReason::node_down);
    settle();
    a.lives.request_fence(first.mount, "lost");
    a.lives.request_fence(second.mount, "lost");
    a.lives.withdraw_fence(first.mount);
    EXPECT_TRUE(a.machines.wanted.contains(first.machine));
    a.lives.withdraw_fence(second.mount);
    EXPECT_FALSE(a.machines.wanted.contains(first.machine));
}

TEST(LifeMessage, OnlyWhatWasWrittenIsRead) {
    const LifeMessage message{LifeMessage::Type::known_dead, base::random_uuid(), base::random_uuid(), {7}};
    auto bytes = encode(message);
    EXPECT_EQ(bytes.size(), 37U);
    const auto read = decode_life_message(bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->mount, message.mount);
    EXPECT_EQ(read->machine, message.machine);
    EXPECT_EQ(read->node, message.node);
    bytes[0] = std::byte{6};
    EXPECT_FALSE(decode_life_message(bytes));
    bytes[0] = std::byte{1};
    bytes.pop_back();
    EXPECT_FALSE(decode_life_message(bytes));
}

}  // namespace
}  // namespace clusterfs
