#include "tests/sim/fencing/corosync.hh"

#include <algorithm>

#include "base/ensure.hh"

namespace sim_fencing {
namespace {

using base::Duration;

std::size_t at(int node) { return static_cast<std::size_t>(node); }
int node_of(const base::GroupMember& member) { return static_cast<int>(member.node.value) - 1; }
base::GroupMember member_of(int node, std::uint32_t process) {
    return {base::NodeId{static_cast<std::uint32_t>(node) + 1}, process};
}

}  // namespace

Corosync::Corosync(sim::Scheduler& scheduler, sim::Random random, std::vector<Listener*> listeners)
    : scheduler_(scheduler),
      random_(random),
      listeners_(std::move(listeners)),
      islands_(listeners_.size(), 0),
      powered_(listeners_.size(), false),
      quorate_(listeners_.size(), false),
      saw_all_(listeners_.size(), false),
      process_(listeners_.size(), 0),
      ring_(listeners_.size()),
      outbox_(listeners_.size()) {}

bool Corosync::reach(int one, int other) const {
    return powered_[at(one)] && powered_[at(other)] && islands_[at(one)] == islands_[at(other)];
}

std::set<int> Corosync::island_of(int node) const {
    std::set<int> out;
    for (int other = 0; at(other) < listeners_.size(); ++other) {
        if (reach(node, other)) out.insert(other);
    }
    return out;
}

bool Corosync::works(const Ring& ring) const {
    const int first = *ring.nodes.begin();
    return std::ranges::all_of(ring.nodes,
                               [&](int node) { return reach(first, node) && ring_[at(node)].get() == &ring; });
}

bool Corosync::is_whole() const {
    if (scheduler_.now() <= noticed_by_) return false;
    for (int node = 0; at(node) < listeners_.size(); ++node) {
        if (!powered_[at(node)] || !ring_[at(node)] || !works(*ring_[at(node)])) return false;
        if (ring_[at(node)]->nodes.size() != listeners_.size() || process_[at(node)] == 0) return false;
        const auto& members = ring_[at(node)]->members;
        if (std::ranges::find(members, member_of(node, process_[at(node)])) == members.end()) return false;
        if (ring_[at(node)]->delivered[node] != ring_[at(node)]->log.size()) return false;
    }
    return true;
}

void Corosync::power_on(int node) {
    powered_[at(node)] = true;
    topology_changed(false);
}

void Corosync::power_off(int node) {
    powered_[at(node)] = quorate_[at(node)] = saw_all_[at(node)] = false;
    process_[at(node)] = 0;
    ring_[at(node)].reset();
    outbox_[at(node)].clear();
    topology_changed(true);
}

void Corosync::connect(std::vector<int> islands) {
    islands_ = std::move(islands);
    topology_changed(true);
}

// A token timeout for what is lost, less for what is found; nearly the same moment on all sides.
void Corosync::topology_changed(bool lost) {
    const auto base_delay = lost ? random_.between(Duration::milliseconds(1000), Duration::milliseconds(2000))
                                 : random_.between(Duration::milliseconds(300), Duration::milliseconds(1500));
    noticed_by_ = scheduler_.now() + Duration::seconds(3);
    std::set<std::set<int>> islands;
    for (int node = 0; at(node) < listeners_.size(); ++node) {
        if (powered_[at(node)]) islands.insert(island_of(node));
    }
    for (const auto& island : islands) {
        const auto jitter = random_.between(Duration{}, Duration::milliseconds(200));
        scheduler_.after(base_delay + jitter, [this, island] { try_form(island); });
    }
}

void Corosync::try_form(const std::set<int>& nodes) {
    const int first = *nodes.begin();
    if (!powered_[at(first)] || island_of(first) != nodes) return;
    const auto& ring = ring_[at(first)];
    const bool was_never_noticed = ring && ring->nodes == nodes && works(*ring);
    if (!was_never_noticed) return form(nodes);
    for (const int node : nodes) pump(node);
}

void Corosync::form(const std::set<int>& nodes) {
    std::map<RingPtr, std::set<int>, Older> survivors;
    std::map<int, std::vector<base::GroupMember>> before;
    std::map<int, std::set<int>> companions;
    for (const int node : nodes) {
        if (ring_[at(node)]) survivors[ring_[at(node)]].insert(node);
        companions[node] = {node};
    }
    for (const auto& [old, who] : survivors) {
        const auto members = settle_old_ring(old, who);
        for (const int node : who) {
            before[node] = members;
            companions[node] = who;
        }
    }
    const auto ring = std::make_shared<Ring>();
    ring->number = ++rings_;
    ring->nodes = nodes;
    for (const int node : nodes) {
        ring->delivered[node] = 0;
        for (const auto& member : before[node]) {
            if (node_of(member) == node) ring->members.push_back(member);
        }
        ring_[at(node)] = ring;
    }
    std::ranges::sort(ring->members);
    announce(ring, before, companions);
    update_quorum(nodes);
    for (const int node : nodes) scheduler_.after(Duration::milliseconds(1), [this, node] { pump(node); });
}

// The survivors deliver the same messages of the old ring; what they sent beyond these is sent anew. Returns who was a
// member then. The other side of a split goes on from its own end.
std::vector<base::GroupMember> Corosync::settle_old_ring(const RingPtr& old, const std::set<int>& survivors) {
    std::size_t least = 1;  // the ring's own view
    for (const int node : survivors) least = std::max(least, old->delivered[node]);
    const auto end = least + random_.below(old->log.size() - least + 1);
    for (const int node : survivors) {
        while (old->delivered[node] < end) deliver(old->log[old->delivered[node]++], node);
    }
    for (auto i = old->log.size(); i > end; --i) {
        const auto& item = old->log[i - 1];
        if (item.origin >= 0 && survivors.contains(item.origin)) outbox_[at(item.origin)].push_front(item);
    }
    return old->log[end - 1].members;
}

void Corosync::announce(const RingPtr& ring, const std::map<int, std::vector<base::GroupMember>>& before,
                        const std::map<int, std::set<int>>& companions) {
    Item item;
    item.members = ring->members;
    for (const int node : ring->nodes) {
        base::GroupView view{ring->members, {}, {}};
        const auto& old_companions = companions.at(node);
        for (const auto& member : ring->members) {
            if (!old_companions.contains(node_of(member))) view.joined.push_back(member);
        }
        if (const auto old = before.find(node); old != before.end()) {
            for (const auto& member : old->second) {
                if (!ring->nodes.contains(node_of(member)) || !old_companions.contains(node_of(member))) {
                    view.left.push_back({member, base::LeaveReason::node_down});
                }
            }
        }
        if (!view.joined.empty() || !view.left.empty()) item.views[node] = std::move(view);
    }
    order(ring, std::move(item));
}

void Corosync::update_quorum(const std::set<int>& nodes) {
    const auto all = listeners_.size();
    for (const int node : nodes) {
        if (nodes.size() == all) saw_all_[at(node)] = true;
        const bool pair = all == 2 && saw_all_[at(node)];  // two_node with wait_for_all
        const bool quorate = pair || nodes.size() * 2 > all;
        const auto trail = random_.between(Duration{}, Duration::milliseconds(all == 2 ? 50 : 500));
        scheduler_.after(trail, [this, node, quorate, ring = ring_[at(node)]] {
            if (ring_[at(node)] == ring) set_quorum(node, quorate);
        });
    }
}

void Corosync::set_quorum(int node, bool quorate) {
    quorate_[at(node)] = quorate;
    if (process_[at(node)] != 0) listeners_[at(node)]->on_quorum(quorate);
}

void Corosync::join(int node, std::uint32_t process) {
    process_[at(node)] = process;
    Item item;
    item.origin = node;
    item.order = 1;
    item.sender = member_of(node, process);
    outbox_[at(node)].push_back(std::move(item));
    scheduler_.after({}, [this, node] { pump(node); });
    listeners_[at(node)]->on_quorum(quorate_[at(node)]);
}

// What it had not got rid of is lost; the others are told.
void Corosync::process_died(int node) {
    Item item;
    item.origin = node;
    item.order = 2;
    item.sender = member_of(node, process_[at(node)]);
    process_[at(node)] = 0;
    std::erase_if(outbox_[at(node)], [](const Item& waiting) { return waiting.order == 0; });
    outbox_[at(node)].push_back(std::move(item));
    scheduler_.after(Duration::milliseconds(3), [this, node] { pump(node); });
}

void Corosync::multicast(int node, const fencing::Message& message) {
    const auto bytes = fencing::encode(message);
    base::ensure(bytes.has_value(), "a message that cannot be encoded");
    Item item;
    item.message = fencing::decode(*bytes).value();
    item.origin = node;
    item.sender = member_of(node, process_[at(node)]);
    outbox_[at(node)].push_back(std::move(item));
    scheduler_.after(random_.between(Duration::microseconds(50), Duration::milliseconds(3)),
                     [this, node] { pump(node); });
}

// Puts the node's next item in order, if the ring works.
void Corosync::pump(int node) {
    const auto ring = ring_[at(node)];
    if (!ring || outbox_[at(node)].empty() || !works(*ring)) return;
    auto item = std::move(outbox_[at(node)].front());
    outbox_[at(node)].pop_front();
    const auto found = std::ranges::find(ring->members, item.sender);
    const bool is_member = found != ring->members.end();
    if (item.order == 1 && !is_member) ring->members.push_back(item.sender);
    if (item.order == 2 && is_member) ring->members.erase(found);
    std::ranges::sort(ring->members);
    const bool counts = item.order == 1 ? !is_member : is_member;
    if (counts && item.order != 0) {
        item.views.clear();
        for (const int other : ring->nodes) {
            base::GroupView view{ring->members, {}, {}};
            if (item.order == 1) view.joined.push_back(item.sender);
            if (item.order == 2) view.left.push_back({item.sender, base::LeaveReason::process_down});
            item.views[other] = std::move(view);
        }
    }
    item.members = ring->members;
    if (counts) order(ring, std::move(item));
    if (!outbox_[at(node)].empty()) scheduler_.after(Duration::microseconds(20), [this, node] { pump(node); });
}

void Corosync::order(const RingPtr& ring, Item item) {
    ring->log.push_back(std::move(item));
    for (const int node : ring->nodes) {
        const auto lag = random_.between(Duration::microseconds(50), Duration::milliseconds(10));
        scheduler_.after(lag, [this, ring, node] { deliver_next(ring, node); });
    }
}

void Corosync::deliver_next(const RingPtr& ring, int node) {
    if (ring_[at(node)] != ring || ring->delivered[node] >= ring->log.size()) return;
    const Item item = ring->log[ring->delivered[node]++];
    deliver(item, node);
}

void Corosync::deliver(const Item& item, int node) {
    const auto process = process_[at(node)];
    if (process == 0 || std::ranges::find(item.members, member_of(node, process)) == item.members.end()) return;
    if (item.message) return listeners_[at(node)]->on_message(item.sender, *item.message);
    const auto view = item.views.find(node);
    if (view != item.views.end()) listeners_[at(node)]->on_view(view->second);
}

}  // namespace sim_fencing
