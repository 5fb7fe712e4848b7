// What happens to the world: power cuts, splits, daemons that crash, devices that fail, programs that ask.
// Only what the promises survive: the last living machine is left alone, a pair's daemons crash only while it is whole
// (a daemon that starts in a split does not know when the split was).
#pragma once

#include "tests/sim/fencing/world.hh"

namespace sim_fencing {

class Environment {
  public:
    explicit Environment(World& world);
    void start();
    // No more trouble from now on; everything that is broken is mended.
    void calm_down();

  private:
    void trouble();
    void cut_power();
    void split();
    void heal();
    void pause_a_daemon();
    void crash_a_daemon();
    void break_a_device();
    void somebody_asks();
    void operator_acts();
    void watch();
    void look_after(int index);
    void connect(std::vector<int> islands);
    void lost(int observer, int peer);
    void found(int observer, int peer);
    int any() { return static_cast<int>(random_.below(static_cast<std::uint64_t>(world_.size()))); }

    World& world_;
    sim::Random random_;
    bool calm_ = false;
    std::vector<int> islands_;
    std::uint64_t splits_ = 0;
    // By observer and peer: the life that the observer's programs talked to last, and whether they still reach it.
    std::map<std::pair<int, int>, base::NodeIncarnation> peers_;
    std::set<std::pair<int, int>> connected_;
    std::map<int, std::uint32_t> repaired_;  // boots of a machine that was off when somebody was sent to it
};

}  // namespace sim_fencing
