// Two or three nodes, what happens to them, and the fence.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/dlm/node.hh"

namespace sim_dlm {

class World {
  public:
    World(std::uint64_t seed, bool trace);

    void run();
    std::uint64_t grants() const { return truth_.grants(); }

  private:
    bool reach(base::NodeId a, base::NodeId b) const;
    Node& node(base::NodeId id) { return *nodes_[id.value - 1]; }
    void trouble();
    void cause_trouble();
    void crash(base::NodeId id, base::Duration off);
    void power_on(base::NodeId id);
    void note_who_knows();
    bool all_informed() const;
    bool nobody_else_releases(const base::NodeIncarnation& dead) const;
    void isolate_for(base::NodeId id, base::Duration lasts);
    void isolate_repairer(base::NodeId id, base::NodeId dead);
    void isolate(base::NodeId id);
    void deafen(base::NodeId id);
    void heal();
    void update_quorum();
    bool quorate(base::NodeId id) const;
    void request_fence(base::NodeId asker, base::NodeIncarnation victim);
    bool somebody_is_missing(base::GroupMember asker);
    void execute_fence(const base::NodeIncarnation& victim);
    void execute_fence_of(const base::NodeIncarnation& victim);
    void calm_down();
    bool all_idle() const;
    void trace(const std::string& line);

    sim::Scheduler scheduler_;
    sim::Random random_;
    bool trace_;
    Truth truth_;
    std::map<base::NodeIncarnation, std::set<base::Uuid>> released_by_;
    std::uint32_t isolated_ = 0;  // the node that nobody reaches
    std::uint32_t deaf_ = 0;
    Group group_;
    Network network_;
    Surroundings around_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::map<base::NodeIncarnation, std::set<base::NodeId>> fence_askers_;
    std::set<base::NodeIncarnation> fenced_;
    bool calm_ = false;
};

}  // namespace sim_dlm
