// Machines, devices, Corosync, and what must always be true of them.
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/fencing/device.hh"
#include "tests/sim/fencing/machine.hh"

namespace sim_fencing {

class World {
  public:
    World(std::uint64_t seed, bool verbose);

    sim::Scheduler& scheduler() { return scheduler_; }
    Corosync& corosync() { return *corosync_; }
    int size() const { return static_cast<int>(machines_.size()); }
    Machine& machine(int index) { return *machines_[static_cast<std::size_t>(index)]; }
    Machine& machine(base::NodeId node) { return machine(static_cast<int>(node.value) - 1); }
    Device& device(const std::string& name) { return *devices_.at(name); }
    const std::vector<std::string>& device_names() const { return device_names_; }
    fencing::Settings settings_of(base::NodeId node) const;
    sim::Random fork() { return random_.fork(); }
    int powered() const;
    // Whether one lives when that one has lost power: one that is about to be shot will not.
    bool one_lives_without(int index) const { return one_lives(index, index); }
    // The same when it is shot: what it has ordered takes effect.
    bool one_lives_when_shot(int index) const { return one_lives(index, -1); }

    // Checks.
    void was_asked(base::NodeId victim) { asked_[victim] = scheduler_.now(); }
    void check_was_asked(base::NodeId victim);
    void check_dead(const base::NodeIncarnation& life, base::Instant asked);
    bool was_shot(int index, std::uint32_t boot) const { return shot_.contains({index, boot}); }
    // Nobody has been at work out of the asker's reach ever since it asked: at work are those whom the asker has met,
    // and those who were told so themselves.
    void check_nobody_missing(base::NodeId asker, base::Instant asked);
    void network_changed() { network_changed_ = scheduler_.now(); }
    void check_all_answered();
    void check_all_agree();

    void note(base::NodeId node, const std::string& line);
    [[noreturn]] void fail(const std::string& what, base::NodeId node);

    struct Counts {
        std::uint64_t shots = 0;
        std::uint64_t reports = 0;
    };
    const Counts& counts() const { return counts_; }

  private:
    bool one_lives(int apart_from, int silenced) const;
    void switched(int index, bool on);

    const std::uint64_t seed_;
    const bool verbose_;
    sim::Random random_;
    sim::Scheduler scheduler_;
    fencing::Settings settings_;
    std::vector<std::unique_ptr<Machine>> machines_;
    std::unique_ptr<Corosync> corosync_;
    std::map<std::string, std::unique_ptr<Device>> devices_;
    std::vector<std::string> device_names_;
    std::map<base::NodeId, base::Instant> asked_;
    std::set<std::pair<int, std::uint32_t>> shot_;  // lives ended by a fence device
    base::Instant network_changed_;
    std::set<base::NodeIncarnation> told_;  // that nobody is missing
    std::deque<std::string> story_;
    Counts counts_;
};

}  // namespace sim_fencing
