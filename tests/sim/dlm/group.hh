// One CPG group: views and messages in one order for all who stay together. What a member had not received when the
// group fell apart may be lost for its side, but then for everybody on that side.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/group_messenger.hh"
#include "tests/sim/common/random.hh"
#include "tests/sim/common/scheduler.hh"

namespace sim_dlm {

class Group {
  public:
    struct Member {
        std::function<void(const base::GroupView&)> view_changed;
        std::function<void(base::GroupMember, const base::Bytes&)> delivered;
    };
    // Which nodes reach each other.
    using Reach = std::function<bool(base::NodeId, base::NodeId)>;

    Group(sim::Scheduler& scheduler, sim::Random random, Reach reach)
        : scheduler_(scheduler), random_(random), reach_(std::move(reach)) {}

    void join(base::GroupMember who, Member member);
    void leave(base::GroupMember who);
    void process_died(base::GroupMember who);
    // After a node lost power, or the network was cut or healed: the rings form anew after a while.
    void topology_changed(base::Duration least, base::Duration most);
    void node_died(base::NodeId node);
    // The same, and the caller sees to it that the rings form anew.
    void power_lost(base::NodeId node);
    // Whether what `who` sends now is delivered in a ring that `node` has a member in.
    bool in_one_ring(base::GroupMember who, base::NodeId node) const;
    void multicast(base::GroupMember who, base::Bytes message);

  private:
    struct Item {
        bool is_view = false;
        std::map<base::GroupMember, base::GroupView> views;
        base::GroupMember sender;
        base::Bytes message;
    };
    struct Ring {
        std::uint64_t number = 0;
        std::set<base::GroupMember> members;
        std::deque<Item> log;
        std::map<base::GroupMember, std::size_t> delivered;
    };
    using RingPtr = std::shared_ptr<Ring>;
    struct Older {  // not by address: a seed is the same history everywhere
        bool operator()(const RingPtr& a, const RingPtr& b) const { return a->number < b->number; }
    };
    using MembersOf = std::map<RingPtr, std::set<base::GroupMember>, Older>;

    RingPtr make_ring();
    bool works(const Ring& ring) const;
    void order(const RingPtr& ring, Item item);
    void deliver_next(const RingPtr& ring, base::GroupMember who);
    void deliver(const Item& item, base::GroupMember who);
    void remove(base::GroupMember who, base::LeaveReason reason);
    void form();
    void settle(const RingPtr& old, const std::set<base::GroupMember>& survivors);
    void flush_outboxes();

    sim::Scheduler& scheduler_;
    sim::Random random_;
    Reach reach_;
    std::map<base::GroupMember, Member> alive_;
    std::map<base::GroupMember, RingPtr> ring_of_;
    std::uint64_t rings_ = 0;
    std::map<base::GroupMember, std::deque<base::Bytes>> outbox_;  // sent while the ring does not work
};

}  // namespace sim_dlm
