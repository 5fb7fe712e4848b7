// Two or three nodes, what happens to them, the fence, and the lockspace as far as it lets mounts in.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/posix_locks/node.hh"

namespace sim_posix_locks {

class World {
  public:
    World(std::uint64_t seed, bool trace);

    void run();

  private:
    Node& node(base::NodeId id) { return *nodes_[id.value - 1]; }
    bool reach(base::NodeId a, base::NodeId b) const;
    bool quorate(base::NodeId id) const;
    void trouble();
    void cause_trouble();
    void crash(base::NodeId id);
    void power_on(base::NodeId id);
    void start(base::NodeId id);
    void end_process(base::NodeId id, bool orderly);
    void isolate(base::NodeId id);
    void heal();
    void watch();
    void share_losses();
    void let_in(Node& mount);
    bool wanted(const base::NodeIncarnation& life);
    std::set<base::NodeIncarnation> wanted_by(const Node& mount) const;
    void plan_fence(const base::NodeIncarnation& life);
    void fence(const base::NodeIncarnation& life);
    void calm_down();
    bool all_idle() const;
    void trace(const std::string& line);

    sim::Scheduler scheduler_;
    sim::Random random_;
    bool trace_;
    std::uint32_t isolated_ = 0;  // the node that nobody reaches
    sim_dlm::Group group_;
    Truth truth_;
    std::map<base::GroupMember, base::NodeIncarnation> lives_;
    Surroundings around_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::set<base::NodeIncarnation> started_;
    std::set<base::NodeIncarnation> over_;     // certified, or ended before the eyes of its own machine
    std::set<base::NodeIncarnation> planned_;  // fences under way
    bool calm_ = false;
};

}  // namespace sim_posix_locks
