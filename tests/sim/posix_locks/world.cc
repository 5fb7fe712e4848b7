#include "tests/sim/posix_locks/world.hh"

#include <algorithm>
#include <cstdio>

#include "tests/sim/common/run_seeds.hh"

namespace sim_posix_locks {

using base::Duration;

World::World(std::uint64_t seed, bool trace)
    : random_(seed),
      trace_(trace),
      group_(scheduler_, random_.fork(), [this](auto a, auto b) { return reach(a, b); }),
      around_{scheduler_, group_, truth_, lives_, [this](const std::string& line) { this->trace(line); }} {
    const auto count = static_cast<std::uint32_t>(random_.between(2, 3));
    for (std::uint32_t id = 1; id <= count; ++id) {
        nodes_.push_back(std::make_unique<Node>(around_, random_.fork(), base::NodeId{id}));
        nodes_.back()->power_on();
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
    for (const auto& each : nodes_) seen += reach(id, each->life().node) ? 1 : 0;
    return seen * 2 > nodes_.size();
}

// ---- fence and lockspace -------------------------------------------------------------------------------------------

// A mount that is used wants everybody fenced whom it lost; one that is about to be let in, everybody who may be there.
std::set<base::NodeIncarnation> World::wanted_by(const Node& mount) const {
    if (mount.used()) return mount.missed();
    auto others = started_;
    for (const auto& member : mount.view()) others.erase(lives_.at(member));
    for (const auto& life : over_) others.erase(life);
    return others;
}

bool World::wanted(const base::NodeIncarnation& life) {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& each) {
        return each->runs() && quorate(each->life().node) && wanted_by(*each).contains(life);
    });
}

void World::watch() {
    scheduler_.after(Duration::milliseconds(50), [this] {
        share_losses();
        for (const auto& life : started_) {
            if (wanted(life)) plan_fence(life);
        }
        for (const auto& each : nodes_) let_in(*each);
        watch();
    });
}

// Members of a lockspace agree on who is dead.
void World::share_losses() {
    for (const auto& one : nodes_) {
        for (const auto& other : nodes_) {
            const auto& view = one->view();
            if (!one->runs() || !other->runs() || one == other) continue;
            if (std::find(view.begin(), view.end(), other->member()) != view.end()) one->learn_missed(other->missed());
        }
    }
}

// All in its view have agreed to that, so they are there; all others are over.
void World::let_in(Node& mount) {
    const auto& view = mount.view();
    if (!mount.runs() || mount.used() || view.empty() || !quorate(mount.life().node)) return;
    const bool all_there = std::all_of(view.begin(), view.end(), [&](const auto& member) {
        return node(member.node).runs() && node(member.node).member() == member &&
               reach(mount.life().node, member.node);
    });
    if (all_there && wanted_by(mount).empty()) mount.use();
}

// Slow, and the lower node's executioner waits a little longer, so that of two one survives. The end of a life is also
// wanted of those that are over already: whoever asks has to be told.
void World::plan_fence(const base::NodeIncarnation& life) {
    if (!planned_.insert(life).second) return;
    const auto handicap = life.node.value == 1 ? Duration::seconds(2) : Duration{};
    const auto takes = random_.one_in(3) ? random_.between(Duration::seconds(5), Duration::seconds(20))
                                         : random_.between(Duration::milliseconds(50), Duration::milliseconds(2000));
    scheduler_.after(takes + handicap, [this, life] {
        planned_.erase(life);
        if (wanted(life)) fence(life);
    });
}

void World::fence(const base::NodeIncarnation& life) {
    auto& victim = node(life.node);
    if (victim.runs() && victim.life() == life) {
        trace("node " + std::to_string(life.node.value) + " is fenced");
        crash(life.node);
    }
    trace("a life of node " + std::to_string(life.node.value) + " is certified over");
    over_.insert(life);
    truth_.over(life);
    for (const auto& each : nodes_) {
        if (!each->runs()) continue;
        scheduler_.after(random_.between(Duration::milliseconds(1), Duration::milliseconds(200)),
                         [this, life, asker = each->life()] {
                             auto& told = node(asker.node);
                             if (told.runs() && told.life() == asker) told.life_over(life);
                         });
    }
}

// ---- trouble -------------------------------------------------------------------------------------------------------

void World::crash(base::NodeId id) {
    if (!node(id).powered()) return;
    node(id).crash();
    scheduler_.after(random_.between(Duration::seconds(4), Duration::seconds(12)), [this, id] { power_on(id); });
}

// A node that starts while it cannot reach the others would have to wait for them (wait_for_all): not before the
// network is whole.
void World::power_on(base::NodeId id) {
    if (node(id).powered()) return;
    if (isolated_ != 0) return scheduler_.after(Duration::seconds(1), [this, id] { power_on(id); });
    node(id).power_on();
    group_.topology_changed(Duration::milliseconds(300), Duration::seconds(1));
    scheduler_.after(random_.between(Duration::milliseconds(100), Duration::seconds(2)), [this, id] { start(id); });
}

void World::start(base::NodeId id) {
    if (!node(id).powered() || node(id).runs()) return;
    if (isolated_ != 0) return scheduler_.after(Duration::seconds(1), [this, id] { start(id); });
    node(id).start();
    started_.insert(node(id).life());
    if (calm_) node(id).calm_down();
}

void World::end_process(base::NodeId id, bool orderly) {
    over_.insert(node(id).life());
    node(id).end_process(orderly);
    scheduler_.after(random_.between(Duration::milliseconds(50), Duration::seconds(5)), [this, id] { start(id); });
}

void World::isolate(base::NodeId id) {
    trace("node " + std::to_string(id.value) + " is cut off");
    isolated_ = id.value;
    group_.topology_changed(Duration::milliseconds(900), Duration::milliseconds(2500));
    const auto until = random_.one_in(3) ? Duration::seconds(8) : Duration::milliseconds(2800);
    scheduler_.after(random_.between(Duration::milliseconds(300), until), [this] { heal(); });
}

void World::heal() {
    if (isolated_ == 0) return;
    trace("the network is whole");
    isolated_ = 0;
    group_.topology_changed(Duration::milliseconds(200), Duration::milliseconds(1500));
    // Trouble likes company: while the sides find each other again.
    if (calm_ || !random_.one_in(3)) return;
    scheduler_.after(random_.between(Duration::milliseconds(200), Duration::milliseconds(1550)), [this] {
        if (!calm_) cause_trouble();
    });
}

void World::trouble() {
    scheduler_.after(random_.between(Duration::milliseconds(100), Duration::seconds(6)), [this] {
        if (calm_) return;
        cause_trouble();
        trouble();
    });
}

void World::cause_trouble() {
    const base::NodeId id{static_cast<std::uint32_t>(random_.between(1, static_cast<std::int64_t>(nodes_.size())))};
    const auto kind = random_.below(100);
    if (kind < 25) {
        crash(id);
    } else if (kind < 75 && isolated_ == 0) {
        isolate(id);
    } else if (kind < 90 && node(id).runs()) {
        end_process(id, random_.one_in(2) && node(id).may_leave());
    }
}

void World::calm_down() {
    trace("it becomes calm");
    calm_ = true;
    heal();
    for (auto& each : nodes_) each->calm_down();
}

bool World::all_idle() const {
    return truth_.nothing_held() &&
           std::all_of(nodes_.begin(), nodes_.end(), [](const auto& each) { return each->idle(); });
}

void World::run() {
    for (auto& each : nodes_) {
        const base::NodeId id = each->life().node;
        scheduler_.after(random_.between(Duration{}, Duration::seconds(3)), [this, id] { start(id); });
    }
    watch();
    trouble();
    scheduler_.run_until({Duration::seconds(60).nanoseconds});
    calm_down();
    for (int second = 0; second < 120 && !all_idle(); ++second) {
        scheduler_.run_until(scheduler_.now() + Duration::seconds(1));
    }
    if (all_idle()) return;
    std::string states;
    for (const auto& each : nodes_) states += "\n" + each->describe();
    throw sim::Violation("something is never answered or never unlocked:" + states);
}

}  // namespace sim_posix_locks
