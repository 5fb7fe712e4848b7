// A fence device as an agent meets it: good, slow, broken, or one that says what is not so.
#pragma once

#include <functional>

#include "fencing/core/action.hh"
#include "fencing/core/event.hh"
#include "tests/sim/common/random.hh"
#include "tests/sim/common/scheduler.hh"

namespace sim_fencing {

enum class DeviceMode {
    good,
    slow,     // up to 0.6 s until it acts
    fail,     // refuses
    hang,     // never answers, never acts: the agent is killed at its timeout
    stuck,    // says OK and does nothing
    late,     // acts, but the agent hears nothing and is killed at its timeout
    crash,    // acts or not, and the agent ends by a signal
    strange,  // exit codes that nobody knows
};
inline constexpr int device_modes = 8;

class Device {
  public:
    struct Power {
        std::function<bool()> is_on;
        std::function<void(bool on)> set;  // what the order does
    };
    struct End {
        fencing::AgentExit exit;
        int code;
    };

    Device(sim::Scheduler& scheduler, sim::Random random, Power power)
        : scheduler_(scheduler), random_(random), power_(std::move(power)) {}

    void set_mode(DeviceMode mode) { mode_ = mode; }
    // `may_act` is asked when the order takes effect: false when its sender lost power before it was sent.
    void run(fencing::AgentAction action, std::function<bool()> may_act, std::function<void(End)> finished);

  private:
    void order(fencing::AgentAction action, const std::function<bool()>& may_act, base::Duration effect);
    End end_of(fencing::AgentAction action, DeviceMode mode);

    sim::Scheduler& scheduler_;
    sim::Random random_;
    Power power_;
    DeviceMode mode_ = DeviceMode::good;
};

}  // namespace sim_fencing
