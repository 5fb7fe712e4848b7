// Lockspaces in one thread: everything that one tells another arrives, in order, when settle() is called.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "dlm/core/lockspace.hh"

namespace dlm {

class NodeGroup {
  public:
    struct Node {
        Member self;
        std::unique_ptr<Lockspace> lockspace;
        std::vector<Completed> completed;
        std::vector<BlockingNotice> blocking;
        std::vector<NodeNotice> notices;
        std::vector<base::NodeIncarnation> fences;
        std::uint64_t question = 0;
        bool left = false;
        bool lost = false;
    };

    std::uint32_t add(bool quorate = true) {
        const auto id = static_cast<std::uint32_t>(nodes_.size() + 1);
        base::Uuid uuid;
        uuid.bytes[0] = static_cast<std::byte>(id);
        auto& node = nodes_[id];
        node.self = {{{id}, id}, {{id}, uuid}, uuid, 1};
        node.lockspace = std::make_unique<Lockspace>(Lockspace::Settings{node.self});
        step(id, QuorumChanged{quorate});
        group_.push_back(node.self.process);
        announce({node.self.process}, {});
        settle();
        return id;
    }
    // The network falls apart: that node is alone, and so are the others. They go on until join_again().
    void cut_off(std::uint32_t id) {
        const auto self = nodes_.at(id).self.process;
        std::erase(group_, self);
        alone_.insert(id);
        std::vector<base::GroupLeft> lost;
        for (const auto& member : group_) lost.push_back({member, base::LeaveReason::node_down});
        mail_.push_back({id, ViewChanged{{{self}, {}, lost}}});
        announce({}, {{self, base::LeaveReason::node_down}});
        settle();
    }
    void join_again(std::uint32_t id) {
        const auto self = nodes_.at(id).self.process;
        const auto others = group_;
        alone_.erase(id);
        group_.insert(std::lower_bound(group_.begin(), group_.end(), self), self);
        for (const auto& member : others) mail_.push_back({member.node.value, ViewChanged{{group_, {self}, {}}}});
        mail_.push_back({id, ViewChanged{{group_, others, {}}}});
        settle();
    }
    void remove(std::uint32_t id, base::LeaveReason reason) {
        std::erase(group_, nodes_.at(id).self.process);
        announce({}, {{nodes_.at(id).self.process, reason}});
        settle();
    }
    // False: whoever begins the lockspace waits, until here() is called.
    bool nobody_missing = true;
    void here(std::uint32_t id) {
        nobody_missing = true;
        step(id, NobodyMissing{nodes_.at(id).question});
        settle();
    }
    void fence(std::uint32_t id) {
        for (const auto& member : group_) step(member.node.value, LifeFenced{nodes_.at(id).self.life});
        settle();
    }

    Node& operator[](std::uint32_t id) { return nodes_.at(id); }
    LockId request(std::uint32_t id, const Name& name, Mode mode, Flags flags = {}) {
        const auto lock = next_++;
        step(id, LockRequested{lock, next_++, name, mode, flags});
        return lock;
    }
    void step(std::uint32_t id, const Event& event) {
        Actions actions;
        auto& node = nodes_.at(id);
        node.lockspace->step(event, now, actions);
        for (auto& action : actions) perform(id, node, action);
    }
    void settle() {
        while (!mail_.empty()) {
            auto [to, event] = std::move(mail_.front());
            mail_.pop_front();
            if (is_member(to) && !(is_lost && is_lost(to, event))) step(to, event);
        }
        for (const auto& member : group_) nodes_.at(member.node.value).lockspace->check_invariants();
    }
    const Completed* completion(std::uint32_t id, LockId lock) {
        for (const auto& each : nodes_.at(id).completed) {
            if (each.lock == lock) return &each;
        }
        return nullptr;
    }
    bool holds(std::uint32_t id, LockId lock) {
        const auto* done = completion(id, lock);
        return done != nullptr && done->outcome == Outcome::granted;
    }

    base::Instant now;
    std::function<bool(std::uint32_t to, const Event&)> is_lost;  // what never arrives
    std::size_t messages = 0;                                     // over TCP

  private:
    bool is_member(std::uint32_t id) const {
        return alone_.contains(id) ||
               std::any_of(group_.begin(), group_.end(), [&](const auto& m) { return m.node.value == id; });
    }
    void announce(std::vector<base::GroupMember> joined, std::vector<base::GroupLeft> left) {
        for (const auto& member : group_) mail_.push_back({member.node.value, ViewChanged{{group_, joined, left}}});
    }
    void perform(std::uint32_t id, Node& node, Action& action) {
        if (auto* completed = std::get_if<Completed>(&action)) {
            node.completed.push_back(*completed);
        } else if (auto* blocking = std::get_if<BlockingNotice>(&action)) {
            node.blocking.push_back(*blocking);
        } else if (auto* notice = std::get_if<NodeNotice>(&action)) {
            node.notices.push_back(*notice);
        } else if (auto* fence = std::get_if<RequestFence>(&action)) {
            node.fences.push_back(fence->life);
        } else if (auto* await = std::get_if<AwaitNobodyMissing>(&action)) {
            node.question = await->question;
            if (nobody_missing) mail_.push_back({id, NobodyMissing{await->question}});
        } else if (auto* multicast = std::get_if<Multicast>(&action)) {
            const GroupMessageDelivered event{node.self.process, multicast->message};
            if (alone_.contains(id)) return mail_.push_back({id, event});
            for (const auto& member : group_) mail_.push_back({member.node.value, event});
        } else if (auto* sent = std::get_if<SendToPeer>(&action)) {
            ++messages;
            const auto to = static_cast<std::uint32_t>(sent->session.bytes[0]);
            mail_.push_back({to, PeerMessageArrived{node.self.session, sent->message}});
        } else if (std::holds_alternative<Left>(action)) {
            node.left = true;
            std::erase(group_, node.self.process);
            announce({}, {{node.self.process, base::LeaveReason::leave}});
        } else if (std::holds_alternative<Lost>(action)) {
            node.lost = true;
        }
    }

    std::map<std::uint32_t, Node> nodes_;
    std::vector<base::GroupMember> group_;
    std::set<std::uint32_t> alone_;
    std::deque<std::pair<std::uint32_t, Event>> mail_;
    std::uint64_t next_ = 1;
};

}  // namespace dlm
