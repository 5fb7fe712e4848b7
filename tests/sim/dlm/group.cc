#include "tests/sim/dlm/group.hh"

#include <algorithm>

namespace sim_dlm {
namespace {

using base::Duration;

base::GroupView view_of(const std::set<base::GroupMember>& members) {
    base::GroupView view;
    view.members.assign(members.begin(), members.end());
    return view;
}

}  // namespace

bool Group::works(const Ring& ring) const {
    return std::all_of(ring.members.begin(), ring.members.end(), [&](const auto& a) {
        return reach_(a.node, a.node) && reach_(ring.members.begin()->node, a.node);
    });
}

Group::RingPtr Group::make_ring() {
    const auto ring = std::make_shared<Ring>();
    ring->number = ++rings_;
    return ring;
}

void Group::join(base::GroupMember who, Member member) {
    alive_[who] = std::move(member);
    RingPtr ring;
    for (const auto& [other, candidate] : ring_of_) {
        if (alive_.contains(other) && reach_(other.node, who.node)) ring = candidate;
    }
    if (ring == nullptr) ring = make_ring();
    ring->members.insert(who);
    ring->delivered[who] = ring->log.size();
    ring_of_[who] = ring;
    Item item{true, {}, {}, {}};
    for (const auto& each : ring->members) {
        item.views[each] = view_of(ring->members);
        item.views[each].joined = {who};
    }
    order(ring, std::move(item));
}

void Group::leave(base::GroupMember who) { remove(who, base::LeaveReason::leave); }

void Group::process_died(base::GroupMember who) {
    alive_.erase(who);
    outbox_.erase(who);
    scheduler_.after(Duration::milliseconds(3), [this, who] { remove(who, base::LeaveReason::process_down); });
}

void Group::remove(base::GroupMember who, base::LeaveReason reason) {
    alive_.erase(who);
    outbox_.erase(who);
    const auto found = ring_of_.find(who);
    if (found == ring_of_.end()) return;
    const auto ring = found->second;
    ring_of_.erase(found);
    ring->members.erase(who);
    Item item{true, {}, {}, {}};
    for (const auto& each : ring->members) {
        item.views[each] = view_of(ring->members);
        item.views[each].left = {{who, reason}};
    }
    order(ring, std::move(item));
}

void Group::node_died(base::NodeId node) {
    power_lost(node);
    topology_changed(Duration::milliseconds(900), Duration::milliseconds(2500));
}

void Group::power_lost(base::NodeId node) {
    for (auto it = alive_.begin(); it != alive_.end();) {
        it = it->first.node == node ? alive_.erase(it) : std::next(it);
    }
}

bool Group::in_one_ring(base::GroupMember who, base::NodeId node) const {
    const auto ring = ring_of_.find(who);
    return ring != ring_of_.end() && std::any_of(ring->second->members.begin(), ring->second->members.end(),
                                                 [&](const auto& member) { return member.node == node; });
}

void Group::multicast(base::GroupMember who, base::Bytes message) {
    outbox_[who].push_back(std::move(message));
    scheduler_.after(random_.between(Duration::microseconds(50), Duration::milliseconds(3)),
                     [this] { flush_outboxes(); });
}

void Group::flush_outboxes() {
    for (auto& [who, waiting] : outbox_) {
        const auto ring = ring_of_.find(who);
        while (!waiting.empty() && ring != ring_of_.end() && works(*ring->second)) {
            Item item{false, {}, who, std::move(waiting.front())};
            waiting.pop_front();
            order(ring->second, std::move(item));
        }
    }
}

void Group::order(const RingPtr& ring, Item item) {
    ring->log.push_back(std::move(item));
    for (const auto& who : ring->members) {
        scheduler_.after(random_.between(Duration::microseconds(20), Duration::milliseconds(5)),
                         [this, ring, who] { deliver_next(ring, who); });
    }
}

void Group::deliver_next(const RingPtr& ring, base::GroupMember who) {
    const auto found = ring_of_.find(who);
    auto& next = ring->delivered[who];
    if (found == ring_of_.end() || found->second != ring || next >= ring->log.size() || !alive_.contains(who)) return;
    const auto item = ring->log[next++];
    deliver(item, who);
}

void Group::deliver(const Item& item, base::GroupMember who) {
    const auto member = alive_.find(who);
    if (member == alive_.end()) return;
    // Callbacks may end the member.
    const auto callbacks = member->second;
    if (!item.is_view) return callbacks.delivered(item.sender, item.message);
    const auto view = item.views.find(who);
    if (view != item.views.end()) callbacks.view_changed(view->second);
}

void Group::topology_changed(base::Duration least, base::Duration most) {
    scheduler_.after(random_.between(least, most), [this] { form(); });
}

// Those who stay together end the old ring with the same item: at least all that one of them has received.
void Group::settle(const RingPtr& old, const std::set<base::GroupMember>& survivors) {
    std::size_t least = 0;
    for (const auto& who : survivors) least = std::max(least, old->delivered[who]);
    const auto end = least + random_.below(old->log.size() - least + 1);
    for (const auto& who : survivors) {
        while (old->delivered[who] < end && alive_.contains(who)) {
            const auto item = old->log[old->delivered[who]++];
            deliver(item, who);
        }
    }
    for (auto i = old->log.size(); i > end; --i) {
        const auto& item = old->log[i - 1];
        if (!item.is_view && survivors.contains(item.sender)) outbox_[item.sender].push_front(item.message);
    }
}

void Group::form() {
    // Whoever has left a ring for an island of his own is still one whom those of the next island have lost.
    MembersOf members_before;
    for (const auto& [who, ring] : ring_of_) members_before[ring] = ring->members;
    std::set<std::set<base::GroupMember>> islands;
    for (const auto& [who, member] : alive_) {
        std::set<base::GroupMember> island;
        for (const auto& [other, unused] : alive_) {
            if (reach_(who.node, other.node)) island.insert(other);
        }
        islands.insert(island);
    }
    for (const auto& island : islands) {
        MembersOf old;
        for (const auto& who : island) old[ring_of_.at(who)].insert(who);
        for (const auto& [before, survivors] : old) members_before.try_emplace(before, before->members);
        if (old.size() == 1 && members_before.at(old.begin()->first) == island) continue;
        const auto ring = make_ring();
        ring->members = island;
        Item item{true, {}, {}, {}};
        for (const auto& [before, survivors] : old) {
            settle(before, survivors);
            for (const auto& who : survivors) {
                auto& view = item.views[who] = view_of(island);
                for (const auto& other : island) {
                    if (!survivors.contains(other)) view.joined.push_back(other);
                }
                for (const auto& other : members_before.at(before)) {
                    if (!survivors.contains(other)) view.left.push_back({other, base::LeaveReason::node_down});
                }
            }
            for (const auto& who : survivors) before->members.erase(who);
        }
        std::erase_if(ring->members, [&](const auto& who) { return !alive_.contains(who); });
        for (const auto& who : ring->members) {
            ring->delivered[who] = 0;
            ring_of_[who] = ring;
        }
        order(ring, std::move(item));
    }
    for (auto it = ring_of_.begin(); it != ring_of_.end();) {
        it = alive_.contains(it->first) ? std::next(it) : ring_of_.erase(it);
    }
    flush_outboxes();
}

}  // namespace sim_dlm
