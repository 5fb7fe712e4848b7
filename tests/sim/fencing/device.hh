// A fence device as an agent meets it: good, slow, broken, or one that says what is not so.
#pragma once

#include <functional>
#include <map>
#include <optional>

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
    // Asked when the order takes effect: false when its sender lost power before it was sent. Also asked what would be
    // so if the machine with this index lost power now.
    using MayAct = std::function<bool(std::optional<int> without)>;
    void run(fencing::AgentAction action, const MayAct& may_act, std::function<void(End)> finished);
    // Would it still, as things are, switch its machine off without that other one?
    bool will_switch_off(int without) const;

  private:
    void order(fencing::AgentAction action, const MayAct& may_act, base::Duration effect);
    End end_of(fencing::AgentAction action, DeviceMode mode);

    sim::Scheduler& scheduler_;
    sim::Random random_;
    Power power_;
    DeviceMode mode_ = DeviceMode::good;
    struct Order {
        fencing::AgentAction action;
        MayAct may_act;
    };
    std::map<std::uint64_t, Order> under_way_;
    std::uint64_t next_order_ = 0;
};

}  // namespace sim_fencing
