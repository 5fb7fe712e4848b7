#include "tests/sim/fencing/world.hh"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace sim_fencing {

using base::Duration;

World::World(std::uint64_t seed, bool verbose) : seed_(seed), verbose_(verbose), random_(seed) {
    const int count = random_.percent(70) ? 2 : 3;
    const bool second_level = random_.one_in(3);
    std::vector<Corosync::Listener*> listeners;
    for (int i = 0; i < count; ++i) {
        machines_.push_back(std::make_unique<Machine>(*this, i, random_.fork()));
        listeners.push_back(machines_.back().get());
        const std::string name(1, static_cast<char>('a' + i));
        fencing::FencePlan plan{name, i == 0 ? Duration::seconds(2) : Duration{}, {{"bmc-" + name}}};
        if (second_level) plan.levels.push_back({"pdu-" + name});
        for (const auto& level : plan.levels) {
            Device::Power power{[this, i] { return machine(i).is_on(); }, [this, i](bool on) { switched(i, on); }};
            devices_[level[0]] = std::make_unique<Device>(scheduler_, random_.fork(), std::move(power));
            device_names_.push_back(level[0]);
        }
        settings_.nodes[machines_.back()->node()] = std::move(plan);
    }
    settings_.verify_limit = Duration::seconds(5);
    corosync_ = std::make_unique<Corosync>(scheduler_, random_.fork(), std::move(listeners));
}

fencing::Settings World::settings_of(base::NodeId node) const {
    auto settings = settings_;
    settings.self = node;
    return settings;
}

int World::powered() const {
    int count = 0;
    for (const auto& machine : machines_) count += machine->is_on() ? 1 : 0;
    return count;
}

bool World::one_lives(int apart_from, int silenced) const {
    for (int i = 0; i < size(); ++i) {
        if (i == apart_from || !machines_[static_cast<std::size_t>(i)]->is_on()) continue;
        const char letter = static_cast<char>('a' + i);
        const bool doomed = std::any_of(devices_.begin(), devices_.end(), [&](const auto& device) {
            return device.first.back() == letter && device.second->will_switch_off(silenced);
        });
        if (!doomed) return true;
    }
    return false;
}

// A fence device has acted.
void World::switched(int index, bool on) {
    auto& target = machine(index);
    if (on) return target.power_on();
    if (!target.is_on()) return;
    shot_.insert({index, target.boots()});
    ++counts_.shots;
    note(target.node(), "is shot");
    target.power_off();
    if (powered() == 0) fail("the last living machine was shot", target.node());
}

void World::check_was_asked(base::NodeId victim) {
    const auto asked = asked_.find(victim);
    if (asked == asked_.end()) fail("nobody has ever asked for this shot", victim);
}

void World::check_dead(const base::NodeIncarnation& life, base::Instant asked) {
    ++counts_.reports;
    const auto& target = machine(life.node);
    if (life.incarnation.is_nil()) {
        if (target.is_on() && target.last_off() < asked) fail("was never off since it was asked for", life.node);
        return;
    }
    if (target.is_on() && target.life() == life) fail("is reported dead and lives", life.node);
}

void World::check_nobody_missing(base::NodeId asker, base::Instant asked) {
    told_.insert(machine(asker).life());
    if (network_changed_ >= asked || machines_.size() > 2) return;
    for (const auto& each : machines_) {
        const bool met = machine(asker).daemon()->lives().is_known(each->life());
        const bool at_work = each->is_on() && each->last_on() < asked && (met || told_.contains(each->life()));
        const bool seen = corosync_->reach(static_cast<int>(asker.value) - 1, static_cast<int>(each->node().value) - 1);
        if (at_work && !seen) fail("was told that nobody is missing", asker);
    }
}

void World::check_all_answered() {
    for (const auto& machine : machines_) {
        if (!machine->is_on() || machine->daemon() == nullptr) fail("does not run at the end", machine->node());
        if (!machine->daemon()->is_in_group()) fail("is not in the group at the end", machine->node());
        for (const auto& [victim, clients] : machine->wishes()) {
            fail("still waits for node " + std::to_string(victim.node.value) + " " + victim.incarnation.text(),
                 machine->node());
        }
    }
}

void World::check_all_agree() {
    const auto& first = *machines_.front()->daemon();
    for (const auto& machine : machines_) {
        const auto& each = *machine->daemon();
        if (each.lives().dead() != first.lives().dead()) fail("knows other deaths than node 1", machine->node());
        if (each.history().entries() != first.history().entries()) {
            fail("has another history than node 1: " + std::to_string(each.history().entries().size()) + " and " +
                     std::to_string(first.history().entries().size()) + " entries",
                 machine->node());
        }
    }
}

void World::note(base::NodeId node, const std::string& line) {
    char head[64];
    std::snprintf(head, sizeof head, "%10.6f node %u: ", static_cast<double>(scheduler_.now().nanoseconds) / 1e9,
                  node.value);
    if (verbose_) std::printf("%s%s\n", head, line.c_str());
    story_.push_back(head + line);
    if (story_.size() > 120) story_.pop_front();
}

void World::fail(const std::string& what, base::NodeId node) {
    for (const auto& line : story_) std::fprintf(stderr, "%s\n", line.c_str());
    for (const auto& machine : machines_) {
        if (machine->daemon() == nullptr) continue;
        base::JsonWriter out;
        machine->daemon()->describe(scheduler_.now(), out);
        std::fprintf(stderr, "node %u: %s\n", machine->node().value, out.text().c_str());
    }
    std::fprintf(stderr, "FAILED: seed %llu, %.6f s, node %u: %s\n", static_cast<unsigned long long>(seed_),
                 static_cast<double>(scheduler_.now().nanoseconds) / 1e9, node.value, what.c_str());
    std::exit(1);
}

}  // namespace sim_fencing
