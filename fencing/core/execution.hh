// One attempt to switch one machine: the levels in order, in a level first the order to all devices, then the proof
// from all devices. Power is off only when a status query of every device of one level said so after the order.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json_writer.hh"
#include "fencing/core/action.hh"
#include "fencing/core/settings.hh"
#include "fencing/core/verdict.hh"

namespace fencing {

class Execution {
  public:
    enum class State { running, succeeded, failed };

    Execution(base::NodeId victim, PowerOrder order, const Settings& settings, base::Instant now);

    // No order to switch off is given before; it may be moved at any time.
    void hold_orders_until(base::Instant when) { orders_from_ = when; }
    // Unless `why` is empty, the attempt fails instead of giving a further order to switch off.
    void forbid_orders(std::string why) { forbidden_ = std::move(why); }
    // Starts the first agent. `next_run` numbers the runs.
    void start(base::Instant now, RunId& next_run, Actions& actions);
    // Instead of start(): gives no orders, only looks once whether a level is off already.
    void start_looking(base::Instant now, RunId& next_run, Actions& actions);
    // True when the run was this execution's.
    bool on_agent(const AgentFinished& finished, base::Instant now, RunId& next_run, Actions& actions);
    void on_time(base::Instant now, RunId& next_run, Actions& actions);

    State state() const { return state_; }
    // "bmc-b off" or what failed last.
    const std::string& detail() const { return detail_; }
    base::Instant started() const { return started_; }
    PowerOrder order() const { return order_; }
    bool holds_order() const { return state_ == State::running && poll_at_ && !verifying_; }
    std::optional<base::Instant> next_deadline() const { return state_ == State::running ? poll_at_ : std::nullopt; }
    void check_invariants() const;
    void describe(base::JsonWriter& out) const;

  private:
    const std::string& device() const { return level()[device_]; }
    const std::vector<std::string>& level() const { return levels_[level_]; }
    bool is_heuristic() const;
    void run(AgentAction action, RunId& next_run, Actions& actions);
    void on_ordered(Verdict verdict, base::Instant now, RunId& next_run, Actions& actions);
    void on_status(Verdict verdict, base::Instant now, RunId& next_run, Actions& actions);
    void give_up();
    void begin_device(base::Instant now, RunId& next_run, Actions& actions);
    void next_device(base::Instant now, RunId& next_run, Actions& actions);
    void level_failed(base::Instant now, RunId& next_run, Actions& actions);

    base::NodeId victim_;
    PowerOrder order_;
    std::vector<std::vector<std::string>> levels_;
    std::vector<std::string> heuristics_;
    base::Duration verify_limit_;
    base::Duration verify_interval_;
    base::Instant started_;

    State state_ = State::running;
    std::size_t level_ = 0;
    std::size_t device_ = 0;
    bool only_looking_ = false;
    bool verifying_ = false;     // the second pass over the level's devices
    bool order_failed_ = false;  // a device of this level refused: one status query decides, no waiting
    base::Instant verify_until_;
    std::optional<RunId> run_;  // the agent that runs now
    AgentAction running_ = AgentAction::status;
    std::optional<base::Instant> poll_at_;  // the next status query, or the order that is held
    base::Instant orders_from_;
    std::string forbidden_;
    std::string detail_ = "no device is configured";
};

}  // namespace fencing
