#include "clusterfs/core/posix_locks.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>

namespace clusterfs {
namespace {

using enum AdvisoryMode;

base::Uuid life_of(std::uint32_t node) {
    base::Uuid uuid;
    uuid.bytes[0] = static_cast<std::byte>(node);
    return uuid;
}

// A group with total order: every member has a queue of what it has not seen yet.
class Group {
  public:
    struct Entry {
        std::optional<base::GroupView> view;
        base::GroupMember sender;
        base::Bytes message;
    };
    struct Node {
        base::GroupMember member;
        PosixLocks locks;
        std::vector<Entry> queue;
        std::map<std::uint64_t, AnswerAdvisory> answers;
    };

    Node& join(std::uint32_t node, std::uint32_t process) {
        const base::GroupMember member{{node}, process};
        nodes_.push_back(std::make_unique<Node>(Node{member, PosixLocks({{node}, life_of(node)}), {}, {}}));
        announce_view({member}, {});
        return *nodes_.back();
    }

    void leave(std::uint32_t node, base::LeaveReason reason) {
        const auto it =
            std::find_if(nodes_.begin(), nodes_.end(), [&](const auto& n) { return n->member.node.value == node; });
        const auto member = (*it)->member;
        nodes_.erase(it);
        announce_view({}, {{member, reason}});
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
                for (const auto& to : nodes_) to->queue.push_back({std::nullopt, node.member, multicast->bytes});
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
    void fenced(Node& node, std::uint32_t dead) {
        AdvisoryActions actions;
        node.locks.on_fenced({{dead}, life_of(dead)}, actions);
        perform(node, actions);
    }
    std::vector<std::unique_ptr<Node>>& nodes() { return nodes_; }

  private:
    void announce_view(std::vector<base::GroupMember> joined, std::vector<base::GroupLeft> left) {
        base::GroupView view;
        for (const auto& node : nodes_) view.members.push_back(node->member);
        std::sort(view.members.begin(), view.members.end());
        view.joined = std::move(joined);
        view.left = std::move(left);
        for (const auto& node : nodes_) node->queue.push_back({view, {}, {}});
    }

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
    group.leave(2, base::LeaveReason::node_down);
    group.settle();
    group.request(a, lock(1, 1, exclusive));
    group.request(a, lock(2, 1, exclusive, false, 100, 200));
    group.settle();
    EXPECT_TRUE(a.locks.frozen());
    EXPECT_TRUE(a.answers.empty());
    group.fenced(a, 2);
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

TEST(PosixLocks, GarbageIsDropped) {
    Group group;
    auto& a = group.join(1, 10);
    group.settle();
    std::mt19937 random(1);
    for (int i = 0; i < 20000; ++i) {
        base::Bytes bytes(random() % 80);
        for (auto& byte : bytes) byte = static_cast<std::byte>(random());
        if (!bytes.empty()) bytes[0] = static_cast<std::byte>(random() % 8);
        AdvisoryActions actions;
        a.locks.on_message({{2}, 5}, bytes, actions);
        a.locks.check_invariants();
    }
}

// Members join, leave, die and are fenced at random while they lock and unlock; in the end all tables are equal, nobody
// was granted what another holds, and everything that did not have to wait was answered.
TEST(PosixLocks, RandomHistoriesEndInEqualTables) {
    for (unsigned seed = 1; seed <= 300; ++seed) {
        std::mt19937 random(seed);
        Group group;
        std::uint32_t next_process = 1;
        std::uint64_t next_id = 1;
        std::set<std::uint32_t> unfenced;
        group.join(1, next_process++);
        for (int step = 0; step < 400; ++step) {
            auto& nodes = group.nodes();
            auto& node = *nodes[random() % nodes.size()];
            switch (const auto what = random() % 20; what) {
                case 0: {
                    const std::uint32_t id = 1 + random() % 3;
                    const bool present = std::any_of(nodes.begin(), nodes.end(),
                                                     [&](const auto& n) { return n->member.node.value == id; });
                    if (!present && !unfenced.contains(id)) group.join(id, next_process++);
                    break;
                }
                case 1:
                    if (nodes.size() > 1) group.leave(node.member.node.value, base::LeaveReason::process_down);
                    break;
                case 2:
                    // A node has one life here: once it was fenced, it does not come back under that number.
                    if (nodes.size() > 1 && node.member.node.value != 1) {
                        unfenced.insert(node.member.node.value);
                        group.leave(node.member.node.value, base::LeaveReason::node_down);
                    }
                    break;
                case 3:
                    for (const auto dead : unfenced) group.fenced(node, dead);
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
        for (const auto& node : group.nodes()) {
            for (const auto dead : unfenced) group.fenced(*node, dead);
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
