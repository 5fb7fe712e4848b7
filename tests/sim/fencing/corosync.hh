// Corosync as far as the fencing daemons see it: rings of nodes that reach each other, one process group with virtual
// synchrony, quorum. Messages wait while a ring is broken; after a token timeout the survivors agree on what was
// delivered, and what their own members sent beyond that is sent again.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/group_messenger.hh"
#include "fencing/format/message.hh"
#include "tests/sim/common/random.hh"
#include "tests/sim/common/scheduler.hh"

namespace sim_fencing {

class Corosync {
  public:
    class Listener {
      public:
        virtual ~Listener() = default;
        virtual void on_view(const base::GroupView& view) = 0;
        virtual void on_message(const base::GroupMember& sender, const fencing::Message& message) = 0;
        virtual void on_quorum(bool quorate) = 0;
    };

    Corosync(sim::Scheduler& scheduler, sim::Random random, std::vector<Listener*> listeners);

    void power_on(int node);
    void power_off(int node);
    // Nodes with the same number reach each other.
    void connect(std::vector<int> islands);
    bool reach(int one, int other) const;

    void join(int node, std::uint32_t process);
    void process_died(int node);
    void multicast(int node, const fencing::Message& message);
    bool is_quorate(int node) const { return quorate_[static_cast<std::size_t>(node)]; }
    // All nodes are in one ring that works and has worked for a while, and every node's process is a member of the
    // group.
    bool is_whole() const;

  private:
    struct Item {
        std::optional<fencing::Message> message;  // else a view
        base::GroupMember sender;
        std::map<int, base::GroupView> views;
        std::vector<base::GroupMember> members;  // after it
        int origin = -1;                         // whose outbox it came from; -1: made by the ring
        int order = 0;                           // 0 message, 1 join, 2 leave
    };
    struct Ring {
        std::uint64_t number = 0;
        std::set<int> nodes;
        std::vector<base::GroupMember> members;  // after the last item
        std::vector<Item> log;
        std::map<int, std::size_t> delivered;
    };
    using RingPtr = std::shared_ptr<Ring>;
    struct Older {  // not by address: a seed is the same history everywhere
        bool operator()(const RingPtr& a, const RingPtr& b) const { return a->number < b->number; }
    };

    std::set<int> island_of(int node) const;
    bool works(const Ring& ring) const;
    void topology_changed(bool lost);
    void try_form(const std::set<int>& nodes);
    void form(const std::set<int>& nodes);
    std::vector<base::GroupMember> settle_old_ring(const RingPtr& old, const std::set<int>& survivors);
    void announce(const RingPtr& ring, const std::map<int, std::vector<base::GroupMember>>& before,
                  const std::map<int, std::set<int>>& companions);
    void update_quorum(const std::set<int>& nodes);
    void set_quorum(int node, bool quorate);
    void pump(int node);
    void order(const RingPtr& ring, Item item);
    void deliver_next(const RingPtr& ring, int node);
    void deliver(const Item& item, int node);

    sim::Scheduler& scheduler_;
    sim::Random random_;
    std::vector<Listener*> listeners_;
    std::vector<int> islands_;
    base::Instant noticed_by_;  // the last change of the network
    std::vector<bool> powered_;
    std::vector<bool> quorate_;
    std::vector<bool> saw_all_;  // since power-on: wait_for_all
    std::vector<std::uint32_t> process_;
    std::vector<RingPtr> ring_;
    std::uint64_t rings_ = 0;
    std::vector<std::deque<Item>> outbox_;
};

}  // namespace sim_fencing
