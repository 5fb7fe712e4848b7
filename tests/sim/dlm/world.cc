#include "tests/sim/dlm/world.hh"

#include <algorithm>
#include <cstdio>

#include "base/probe.hh"
#include "tests/sim/common/run_seeds.hh"

namespace sim_dlm {

using base::Duration;

namespace {

base::Probe probe_repairer_cut_off("simulated: who repairs is cut off");
base::Probe probe_deaf("simulated: the lock network carries one way only");

}  // namespace

World::World(std::uint64_t seed, bool trace)
    : random_(seed),
      trace_(trace),
      group_(scheduler_, random_.fork(), [this](auto a, auto b) { return reach(a, b); }),
      network_(scheduler_, random_.fork(),
               [this](auto a, auto b) { return reach(a, b) && (a == b || b.value != deaf_); }),
      around_{scheduler_,
              group_,
              network_,
              truth_,
              [this](auto asker, auto victim) { request_fence(asker, victim); },
              [this](auto asker, auto victim) { fence_askers_[victim].erase(asker); },
              [this](auto asker) { return somebody_is_missing(asker); },
              [this] { note_who_knows(); },
              [this](auto id, auto dead) { isolate_repairer(id, dead); },
              [this](const std::string& line) { this->trace(line); },
              released_by_,
              [this](const auto& dead) { return nobody_else_releases(dead); }} {
    const auto count = static_cast<std::uint32_t>(random_.between(2, 3));
    for (std::uint32_t id = 1; id <= count; ++id) {
        nodes_.push_back(std::make_unique<Node>(around_, random_.fork(), base::NodeId{id}, true));
    }
}

void World::trace(const std::string& line) {
    if (!trace_) return;
    std::fprintf(stderr, "%12.6f %s\n", static_cast<double>(scheduler_.now().nanoseconds) / 1e9, line.c_str());
}

bool World::reach(base::NodeId a, base::NodeId b) const {
    const auto powered = [&](base::NodeId id) { return nodes_[id.value - 1]->powered(); };
    if (!powered(a) || !powered(b)) return false;
    return a == b || (a.value != isolated_ && b.value != isolated_);
}

// Two nodes: always (two_node). Three: with somebody else.
bool World::quorate(base::NodeId id) const {
    if (nodes_.size() == 2) return true;
    std::size_t seen = 0;
    for (std::uint32_t other = 1; other <= nodes_.size(); ++other) seen += reach(id, base::NodeId{other}) ? 1 : 0;
    return seen * 2 > nodes_.size();
}

void World::update_quorum() {
    for (std::uint32_t id = 1; id <= nodes_.size(); ++id) {
        scheduler_.after(random_.between(Duration::milliseconds(500), Duration::milliseconds(2500)), [this, id] {
            if (node({id}).powered()) node({id}).quorum(quorate({id}));
        });
    }
}

void World::crash(base::NodeId id, Duration off) {
    if (!node(id).powered()) return;
    node(id).crash();
    note_who_knows();
    update_quorum();
    scheduler_.after(off, [this, id] { power_on(id); });
}

void World::note_who_knows() {
    for (const auto& each : nodes_) {
        if (each->informed()) return;
    }
    truth_.nobody_knows();
}

// A node that starts while it cannot reach the others would have to wait for them (wait_for_all): not before the
// network is whole.
void World::power_on(base::NodeId id) {
    if (node(id).powered()) return;
    if (isolated_ != 0) return scheduler_.after(Duration::seconds(1), [this, id] { power_on(id); });
    node(id).boot(false);
    node(id).quorum(quorate(id));
    for (const auto& dead : fenced_) node(id).life_fenced(dead);
    group_.topology_changed(Duration::milliseconds(300), Duration::seconds(1));
    update_quorum();
    if (calm_) node(id).calm_down();
}

bool World::somebody_is_missing(base::GroupMember asker) {
    for (const auto& each : nodes_) {
        const bool gone = each->left_in_order() || fenced_.contains(each->life()) || each->life().incarnation.is_nil();
        if (each->id() != asker.node && !gone && !group_.in_one_ring(asker, each->id())) return true;
    }
    return false;
}

// Slow, and the lower node's executioner waits a little longer, so that of two one survives.
void World::request_fence(base::NodeId asker, base::NodeIncarnation victim) {
    fence_askers_[victim].insert(asker);
    trace("node " + std::to_string(asker.value) + " asks for the fence of node " + std::to_string(victim.node.value));
    const auto handicap = victim.node.value == 1 ? Duration::seconds(2) : Duration{};
    const auto takes = random_.one_in(4) ? random_.between(Duration::seconds(5), Duration::seconds(20))
                                         : random_.between(Duration::milliseconds(50), Duration::milliseconds(900));
    scheduler_.after(takes + handicap, [this, victim] { execute_fence(victim); });
}

void World::execute_fence(const base::NodeIncarnation& victim) {
    if (fenced_.contains(victim) && !victim.incarnation.is_nil()) return;
    bool wanted = false;
    for (const auto asker : fence_askers_[victim]) wanted |= node(asker).powered() && quorate(asker);
    if (!wanted) {
        // Without quorum nobody shoots; it is tried again.
        if (!fence_askers_[victim].empty()) {
            scheduler_.after(Duration::seconds(1), [this, victim] { execute_fence(victim); });
        }
        return;
    }
    trace("node " + std::to_string(victim.node.value) + " is fenced");
    if (victim.incarnation.is_nil()) {
        fence_askers_[victim].clear();
        if (node(victim.node).powered()) execute_fence_of(node(victim.node).life());
    }
    execute_fence_of(victim);
}

void World::execute_fence_of(const base::NodeIncarnation& victim) {
    if (node(victim.node).powered() && node(victim.node).life() == victim) {
        crash(victim.node, random_.between(Duration::seconds(5), Duration::seconds(15)));
    }
    if (!victim.incarnation.is_nil()) fenced_.insert(victim);
    for (std::uint32_t id = 1; id <= nodes_.size(); ++id) {
        scheduler_.after(random_.between(Duration::milliseconds(1), Duration::milliseconds(200)),
                         [this, id, victim] { node({id}).life_fenced(victim); });
    }
}

void World::isolate(base::NodeId id) {
    trace("node " + std::to_string(id.value) + " is cut off");
    isolated_ = id.value;
    group_.topology_changed(Duration::milliseconds(900), Duration::milliseconds(2500));
    update_quorum();
}

bool World::all_informed() const {
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& each) { return each->informed(); });
}

bool World::nobody_else_releases(const base::NodeIncarnation& dead) const {
    if (!nodes_[dead.node.value - 1]->has_journal()) return false;
    const auto sayers = released_by_.find(dead);
    return sayers == released_by_.end() || std::none_of(nodes_.begin(), nodes_.end(), [&](const auto& each) {
               return each->up() && sayers->second.contains(each->session());
           });
}

void World::isolate_for(base::NodeId id, Duration lasts) {
    isolate(id);
    scheduler_.after(lasts, [this] { heal(); });
}

// Only its side hears what it releases. With luck it is back before it is fenced.
void World::isolate_repairer(base::NodeId id, base::NodeId dead) {
    const auto takes_part = [&](const auto& each) {
        return each->informed() || (each->id() == dead && !each->powered());
    };
    if (calm_ || isolated_ != 0 || !std::all_of(nodes_.begin(), nodes_.end(), takes_part)) return;
    if (!random_.one_in(3)) return;
    probe_repairer_cut_off.hit();
    isolate_for(id, random_.between(Duration::milliseconds(1500), Duration::milliseconds(3000)));
}

// The connections of the lockspace fail in one direction; the group has another network.
void World::deafen(base::NodeId id) {
    if (deaf_ != 0) return;
    probe_deaf.hit();
    trace("nothing gets to node " + std::to_string(id.value));
    deaf_ = id.value;
    scheduler_.after(random_.between(Duration::milliseconds(10), Duration::seconds(4)), [this] { deaf_ = 0; });
}

void World::heal() {
    if (isolated_ == 0) return;
    trace("the network is whole");
    isolated_ = 0;
    group_.topology_changed(Duration::milliseconds(200), Duration::milliseconds(1500));
    update_quorum();
}

void World::trouble() {
    scheduler_.after(random_.between(Duration::milliseconds(100), Duration::seconds(8)), [this] {
        if (calm_) return;
        cause_trouble();
        trouble();
    });
}

void World::cause_trouble() {
    const base::NodeId id{static_cast<std::uint32_t>(random_.between(1, static_cast<std::int64_t>(nodes_.size())))};
    const auto kind = random_.below(100);
    if (kind < 20) {
        network_.reset_some(60);
    } else if (kind < 25) {
        deafen(id);
    } else if (kind < 30) {
        node(id).pause(random_.between(Duration::milliseconds(1), Duration::seconds(random_.one_in(3) ? 6 : 1)));
    } else if (kind < 50) {
        crash(id, random_.between(Duration::seconds(5), Duration::seconds(15)));
    } else if (kind < 70 && isolated_ == 0 && all_informed()) {
        isolate_for(id, random_.between(Duration::milliseconds(300), Duration::seconds(8)));
    } else if (node(id).powered() && node(id).up()) {
        node(id).leave();
    } else if (node(id).powered() && isolated_ == 0) {
        node(id).boot(true);
    }
}

void World::calm_down() {
    calm_ = true;
    heal();
    for (auto& each : nodes_) each->calm_down();
}

bool World::all_idle() const {
    for (const auto& each : nodes_) {
        if (!each->idle()) return false;
    }
    return true;
}

void World::run() {
    for (auto& each : nodes_) {
        scheduler_.after(random_.between(Duration{}, Duration::seconds(3)), [&each] { each->boot(false); });
    }
    trouble();
    scheduler_.run_until({Duration::seconds(60).nanoseconds});
    calm_down();
    for (int second = 0; second < 180 && !(second > 30 && all_idle()); ++second) {
        scheduler_.run_until(scheduler_.now() + Duration::seconds(1));
    }
    if (all_idle()) return;
    std::string states;
    for (const auto& each : nodes_) states += "\n" + each->describe();
    throw sim::Violation("something is never answered:" + states);
}

}  // namespace sim_dlm
