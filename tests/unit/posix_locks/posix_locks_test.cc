#include "clusterfs/core/posix_locks.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>

namespace clusterfs {
namespace {

using enum AdvisoryMode;

base::Uuid life_number(std::uint64_t number) {
    base::Uuid uuid;
    base::store(base::MutableByteView(uuid.bytes), number);
    return uuid;
}

// A group with total order: every member has a queue of what it has not seen yet. Each start of a process is a life of
// its own.
class Group {
  public:
    struct Entry {
        std::optional<base::GroupView> view;
        base::GroupMember sender;
        base::Bytes message;
    };
    struct Node {
        base::GroupMember member;
        base::NodeIncarnation life;
        PosixLocks locks;
        int island = 0;
        std::vector<Entry> queue;
        std::map<std::uint64_t, AnswerAdvisory> answers;
    };

    Node& join(std::uint32_t node, std::uint32_t process) {
        const base::GroupMember member{{node}, process};
        const base::NodeIncarnation life{{node}, life_number(++lives_)};
        nodes_.push_back(std::make_unique<Node>(Node{member, life, PosixLocks(life), 0, {}, {}}));
        announce_view(0, {member}, {});
        return *nodes_.back();
    }

    // Returns the life that ended.
    base::NodeIncarnation leave(std::uint32_t node, base::LeaveReason reason) {
        const auto it =
            std::find_if(nodes_.begin(), nodes_.end(), [&](const auto& n) { return n->member.node.value == node; });
        const auto gone = std::move(*it);
        nodes_.erase(it);
        announce_view(gone->island, {}, {{gone->member, reason}});
        return gone->life;
    }

    // The node does not reach the others any more.
    void cut_off(Node& node) {
        std::vector<base::GroupLeft> others;
        for (const auto& each : nodes_) {
            if (each.get() != &node) others.push_back({each->member, base::LeaveReason::node_down});
        }
        node.island = 1;
        announce_view(0, {}, {{node.member, base::LeaveReason::node_down}});
        announce_view(1, {}, others);
    }
    void heal(Node& node) {
        std::vector<base::GroupMember> others;
        for (const auto& each : nodes_) {
            if (each.get() != &node) others.push_back(each->member);
        }
        node.island = 0;
        base::GroupView view = view_of(0);
        for (const auto& each : nodes_) {
            view.joined = each.get() == &node ? others : std::vector{node.member};
            each->queue.push_back({view, {}, {}});
        }
    }

    // Delivers one entry to one node; false: it has seen everything.
    bool deliver_one(Node& node) {
        if (node.queue.empty()) return false;
        const Entry entry = node.queue.front();
        node.queue.erase(node.queue.begin());
        AdvisoryActions actions;
        if (entry.view) {
            node.locks.on_view(node.member, *entry.view, actions);
        } else {
            node.locks.on_message(entry.sender, entry.message, actions);
        }
        perform(node, actions);
        return true;
    }

    void settle() {
        for (bool moved = true; moved;) {
            moved = false;
            for (const auto& node : nodes_) moved = deliver_one(*node) || moved;
        }
    }

    void perform(Node& node, AdvisoryActions& actions) {
        for (const auto& action : actions) {
            if (const auto* multicast = std::get_if<MulticastBytes>(&action)) {
                for (const auto& to : nodes_) {
                    if (to->island == node.island) to->queue.push_back({std::nullopt, node.member, multicast->bytes});
                }
            } else {
                const auto& answer = std::get<AnswerAdvisory>(action);
                ASSERT_TRUE(node.answers.emplace(answer.id, answer).second) << "answered twice";
            }
        }
        node.locks.check_invariants();
    }

    void request(Node& node, AdvisoryRequest request) {
        AdvisoryActions actions;
        node.locks.request(request, actions);
        perform(node, actions);
    }
    void cancel(Node& node, std::uint64_t id) {
        AdvisoryActions actions;
        node.locks.cancel(id, actions);
        perform(node, actions);
    }
    void fenced(Node& node, const base::NodeIncarnation& dead) {
        AdvisoryActions actions;
        node.locks.on_fenced(dead, actions);
        perform(node, actions);
    }
    std::vector<std::unique_ptr<Node>>& nodes() { return nodes_; }

  private:
    base::GroupView view_of(int island) const {
        base::GroupView view;
        for (const auto& node : nodes_) {
            if (node->island == island) view.members.push_back(node->member);
        }
        std::sort(view.members.begin(), view.members.end());
        return view;
    }
    void announce_view(int island, std::vector<base::GroupMember> joined, std::vector<base::GroupLeft> left) {
        base::GroupView view = view_of(island);
        view.joined = std::move(joined);
        view.left = std::move(left);
        for (const auto& node : nodes_) {
            if (node->island == island) node->queue.push_back({view, {}, {}});
        }
    }

    std::uint64_t lives_ = 0;
    std::vector<std::unique_ptr<Node>> nodes_;
};

AdvisoryRequest lock(std::uint64_t id, std::uint64_t owner, AdvisoryMode mode, bool wait = false,
                     std::uint64_t first = 0, std::uint64_t last = 9) {
    return {id, AdvisoryKind::range, mode, wait, 7, {{}, owner}, 1, first, last};
}

TEST(PosixLocks, AloneEverythingIsAnsweredAtOnce) {
    Group group;
    auto& a = group.join(1, 10);
    group.settle();
    group.request(a, lock(1, 1, exclusive));
    EXPECT_EQ(a.answers.at(1).outcome, AdvisoryOutcome::granted);
    group.request(a, lock(2, 2, exclusive, true));
    EXPECT_FALSE(a.answers.contains(2));
    group.cancel(a, 2);
    EXPECT_EQ(a.answers.at(2).outcome, AdvisoryOutcome::interrupted);
    EXPECT_TRUE(a.locks.may_own(1, AdvisoryKind::range, 7));
    EXPECT_FALSE(a.locks.may_own(2, AdvisoryKind::range, 7));
}

TEST(PosixLocks, AJoinerGetsTheTable) {
    Group group;
    auto& a = group.join(1, 10);
    group.settle();
    group.request(a, lock(1, 1, exclusive));
    auto& b = group.join(2, 20);
    group.request(b, lock(1, 1, exclusive));  // before it has the table
    group.request(b, lock(2, 1, exclusive, true));
    group.settle();
    EXPECT_EQ(b.answers.at(1).outcome, AdvisoryOutcome::would_block);
    EXPECT_FALSE(b.answers.contains(2));
    group.request(a, lock(2, 1, unlock));
    group.settle();
    EXPECT_EQ(b.answers.at(2).outcome, AdvisoryOutcome::granted);
    EXPECT_EQ(a.locks.table(), b.locks.table());
}

TEST(PosixLocks, ALostNodesLocksStayUntilItIsFenced) {
    Group group;
    auto& a = group.join(1, 10);
    group.settle();
    auto& b = group.join(2, 20);
    group.settle();
    group.request(b, lock(1, 1, exclusive));
    group.settle();
    const auto dead = group.leave(2, base::LeaveReason::node_down);
    group.settle();
    group.request(a, lock(1, 1, exclusive));
    group.request(a, lock(2, 1, exclusive, false, 100, 200));
    group.settle();
    EXPECT_TRUE(a.locks.frozen());
    EXPECT_TRUE(a.answers.empty());
    group.fenced(a, dead);
    group.settle();
    EXPECT_EQ(a.answers.at(1).outcome, AdvisoryOutcome::granted);
    EXPECT_EQ(a.answers.at(2).outcome, AdvisoryOutcome::granted);
}

TEST(PosixLocks, AnEndedProcessTakesItsLocksAlong) {
    Group group;
    auto& a = group.join(1, 10);
    group.settle();
    auto& b = group.join(2, 20);
    group.settle();
    group.request(b, lock(1, 1, exclusive));
    group.settle();
    group.request(a, lock(1, 1, exclusive, true));
    group.settle();
    group.leave(2, base::LeaveReason::process_down);
    group.settle();
    EXPECT_EQ(a.answers.at(1).outcome, AdvisoryOutcome::granted);
}

// Two members, b (the higher) with a lock, and a cut between them that is healed.
struct HealedCut {
    Group group;
    Group::Node& a = group.join(1, 10);
    Group::Node& b = (group.settle(), group.join(2, 20));
    HealedCut() {
        group.settle();
        group.request(b, lock(1, 1, exclusive));
        group.settle();
        group.cut_off(b);
        group.settle();
        group.heal(b);
    }
};

TEST(PosixLocks, AfterAHealedCutBothGoOn) {
    HealedCut cut;
    cut.group.request(cut.a, lock(1, 1, exclusive));
    cut.group.settle();
    EXPECT_EQ(cut.a.answers.at(1).outcome, AdvisoryOutcome::would_block);
    EXPECT_EQ(cut.a.locks.table(), cut.b.locks.table());
    EXPECT_TRUE(cut.b.locks.may_own(1, AdvisoryKind::range, 7));
}

TEST(PosixLocks, OwnLocksStayWhenTheSenderOfTheTableVanishes) {
    HealedCut cut;
    cut.group.deliver_one(cut.b);  // the view; nothing that a would send has come
    const auto dead = cut.group.leave(1, base::LeaveReason::node_down);
    cut.group.settle();
    EXPECT_TRUE(cut.b.locks.may_own(1, AdvisoryKind::range, 7));
    cut.group.request(cut.b, lock(2, 2, exclusive, false, 100, 109));
    cut.group.settle();
    EXPECT_TRUE(cut.b.locks.frozen());  // the other one may live
    EXPECT_FALSE(cut.b.answers.contains(2));
    cut.group.fenced(cut.b, dead);
    cut.group.settle();
    EXPECT_EQ(cut.b.answers.at(2).outcome, AdvisoryOutcome::granted);
    EXPECT_TRUE(cut.b.locks.may_own(1, AdvisoryKind::range, 7));
}

// What only one side of a split has seen is granted all the same, whichever side that was.
TEST(PosixLocks, AGrantThatOnlyOneSideSawStays) {
    Group group;
    auto& a = group.join(1, 10);
    group.settle();
    auto& b = group.join(2, 20);
    group.settle();
    group.request(b, lock(1, 1, exclusive));
    while (group.deliver_one(b)) {
    }
    EXPECT_EQ(b.answers.at(1).outcome, AdvisoryOutcome::granted);
    a.queue.clear();  // lost with the link
    group.cut_off(b);
    group.settle();
    group.heal(b);
    group.request(a, lock(1, 1, exclusive));
    group.settle();
    EXPECT_EQ(a.answers.at(1).outcome, AdvisoryOutcome::would_block);
    EXPECT_TRUE(b.locks.may_own(1, AdvisoryKind::range, 7));
}

TEST(PosixLocks, AProcessIdUsedAgainIsNotAReturn) {
    for (const std::uint32_t dies : {1u, 2u}) {
        Group group;
        group.join(1, 10);
        group.settle();
        group.join(2, 20);
        group.settle();
        auto& survivor = *group.nodes()[2 - dies];
        group.request(*group.nodes()[dies - 1], lock(1, 1, exclusive));
        group.settle();
        group.leave(dies, base::LeaveReason::node_down);
        group.settle();
        auto& newcomer = group.join(dies, dies * 10);
        group.request(survivor, lock(1, 1, exclusive));
        group.settle();
        ASSERT_TRUE(survivor.answers.contains(1)) << dies;
        EXPECT_EQ(survivor.answers.at(1).outcome, AdvisoryOutcome::granted) << dies;
        group.request(newcomer, lock(1, 1, exclusive));
        group.settle();
        ASSERT_TRUE(newcomer.answers.contains(1)) << dies;
        EXPECT_EQ(newcomer.answers.at(1).outcome, AdvisoryOutcome::would_block) << dies;
        EXPECT_EQ(survivor.locks.table(), newcomer.locks.table());
    }
}

TEST(PosixLocks, TwoReturnsAtOnce) {
    Group group;
    group.join(1, 10);
    group.settle();
    auto& b = group.join(2, 20);
    group.settle();
    auto& c = group.join(3, 30);
    group.settle();
    group.request(c, lock(1, 1, exclusive));
    group.settle();
    group.cut_off(c);
    group.settle();
    group.heal(c);
    group.settle();
    group.request(b, lock(1, 1, exclusive, true));
    group.request(c, lock(2, 1, unlock));
    group.settle();
    EXPECT_EQ(b.answers.at(1).outcome, AdvisoryOutcome::granted);
    for (const auto& node : group.nodes()) EXPECT_EQ(node->locks.table(), b.locks.table());
}

// A life that was lost under a process id and the one that has it now are waited for, both.
TEST(PosixLocks, BothLivesOfAProcessIdAreWaitedFor) {
    Group group;
    auto& a = group.join(1, 10);
    group.settle();
    group.join(2, 20);
    group.settle();
    group.join(3, 30);
    group.settle();
    const auto first = group.leave(3, base::LeaveReason::node_down);
    group.settle();
    const auto c = group.leave(2, base::LeaveReason::node_down);
    group.settle();
    group.join(3, 30);
    group.settle();
    const auto second = group.leave(3, base::LeaveReason::node_down);
    group.settle();
    group.request(a, lock(1, 1, exclusive));
    group.fenced(a, first);
    group.fenced(a, c);
    EXPECT_TRUE(a.locks.frozen());
    EXPECT_TRUE(a.answers.empty());
    group.fenced(a, second);
    EXPECT_EQ(a.answers.at(1).outcome, AdvisoryOutcome::granted);
}

TEST(PosixLocks, ACancelDuringASplitIsAnsweredWhenItsEffectIsKnown) {
    Group group;
    auto& a = group.join(1, 10);
    group.settle();
    auto& b = group.join(2, 20);
    group.settle();
    group.request(a, lock(1, 1, exclusive));
    group.settle();
    group.request(b, lock(1, 1, exclusive, true));
    group.settle();
    group.cut_off(b);
    group.settle();
    group.cancel(b, 1);
    group.settle();
    EXPECT_FALSE(b.answers.contains(1));
    group.heal(b);
    group.settle();
    EXPECT_EQ(b.answers.at(1).outcome, AdvisoryOutcome::interrupted);
    group.request(a, lock(2, 1, unlock));
    group.settle();
    EXPECT_TRUE(a.locks.table().empty());
}

TEST(PosixLocks, GarbageIsDropped) {
    Group group;
    auto& a = group.join(1, 10);
    group.settle();
    std::mt19937 random(1);
    for (int i = 0; i < 20000; ++i) {
        base::Bytes bytes(random() % 80);
        for (auto& byte : bytes) byte = static_cast<std::byte>(random());
        if (!bytes.empty()) bytes[0] = static_cast<std::byte>(random() % 10);
        AdvisoryActions actions;
        a.locks.on_message(i % 2 == 0 ? a.member : base::GroupMember{{2}, 5}, bytes, actions);
        a.locks.check_invariants();
    }
}

// Members join, leave, die and are fenced at random while they lock and unlock; in the end all tables are equal, nobody
// was granted what another holds, and everything that did not have to wait was answered.
TEST(PosixLocks, RandomHistoriesEndInEqualTables) {
    for (unsigned seed = 1; seed <= 300; ++seed) {
        std::mt19937 random(seed);
        Group group;
        std::uint64_t next_id = 1;
        std::set<base::NodeIncarnation> unfenced;
        group.join(1, 1);
        for (int step = 0; step < 400; ++step) {
            auto& nodes = group.nodes();
            auto& node = *nodes[random() % nodes.size()];
            switch (const auto what = random() % 20; what) {
                case 0: {
                    const std::uint32_t id = 1 + random() % 3;
                    const bool present = std::any_of(nodes.begin(), nodes.end(),
                                                     [&](const auto& n) { return n->member.node.value == id; });
                    if (!present) group.join(id, 1 + random() % 2);
                    break;
                }
                case 1:
                    if (nodes.size() > 1) group.leave(node.member.node.value, base::LeaveReason::process_down);
                    break;
                case 2:
                    if (nodes.size() > 1) {
                        unfenced.insert(group.leave(node.member.node.value, base::LeaveReason::node_down));
                    }
                    break;
                case 3:
                    for (const auto& dead : unfenced) group.fenced(node, dead);
                    break;
                case 4:
                    if (next_id == 1) break;
                    group.cancel(node, next_id - 1 - random() % std::min<std::uint64_t>(next_id - 1, 5));
                    break;
                default:
                    if (what < 12) {
                        group.deliver_one(node);
                    } else {
                        const auto first = random() % 16;
                        group.request(node, lock(next_id++, 1 + random() % 2, static_cast<AdvisoryMode>(random() % 3),
                                                 random() % 2 == 0, first, first + random() % 4));
                    }
            }
        }
        // Who has seen the loss learns of the fence.
        group.settle();
        for (const auto& node : group.nodes()) {
            for (const auto& dead : unfenced) group.fenced(*node, dead);
        }
        group.settle();
        const auto& first = *group.nodes().front();
        for (const auto& node : group.nodes()) {
            ASSERT_TRUE(node->locks.synchronized()) << "seed " << seed;
            ASSERT_FALSE(node->locks.frozen()) << "seed " << seed;
            ASSERT_EQ(node->locks.table(), first.locks.table()) << "seed " << seed;
        }
    }
}

}  // namespace
}  // namespace clusterfs
