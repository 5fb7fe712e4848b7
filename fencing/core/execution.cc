#include "fencing/core/execution.hh"

#include <algorithm>

#include "base/ensure.hh"
#include "base/probe.hh"

namespace fencing {
namespace {

base::Probe probe_level_failed("fencing: a level of devices fails");
base::Probe probe_given_up("fencing: an attempt is given up before its next order");
base::Probe probe_looked("fencing: a device is asked before it is ordered");

std::string describe_end(const std::string& device, AgentAction action, const AgentFinished& finished) {
    std::string out = device + " " + text_of(action) + ": ";
    switch (finished.exit) {
        case AgentExit::exited:
            out += "exit " + std::to_string(finished.code);
            break;
        case AgentExit::timed_out:
            out += "timed out";
            break;
        case AgentExit::crashed:
            out += "killed by signal " + std::to_string(finished.code);
            break;
        case AgentExit::not_run:
            out += "could not be run";
            break;
        case AgentExit::unclear:
            out += "exit " + std::to_string(finished.code) + ", which means off, but it does not print \"off\"";
            break;
    }
    if (!finished.output.empty()) out += " (" + finished.output + ")";
    return out;
}

}  // namespace

Execution::Execution(base::NodeId victim, PowerOrder order, const Settings& settings, base::Instant now)
    : victim_(victim),
      order_(order),
      heuristics_(settings.heuristics),
      verify_limit_(settings.verify_limit),
      verify_interval_(settings.verify_interval),
      started_(now) {
    if (const auto plan = settings.nodes.find(victim); plan != settings.nodes.end()) levels_ = plan->second.levels;
    // An empty level proves nothing.
    std::erase_if(levels_, [](const auto& level) { return level.empty(); });
}

bool Execution::is_heuristic() const { return std::ranges::find(heuristics_, device()) != heuristics_.end(); }

void Execution::start(base::Instant now, RunId& next_run, Actions& actions) {
    if (levels_.empty()) {
        state_ = State::failed;
        return;
    }
    begin_device(now, next_run, actions);
}

void Execution::start_looking(base::Instant now, RunId& next_run, Actions& actions) {
    probe_looked.hit();
    only_looking_ = verifying_ = order_failed_ = true;
    start(now, next_run, actions);
}

void Execution::run(AgentAction action, RunId& next_run, Actions& actions) {
    run_ = next_run++;
    running_ = action;
    poll_at_.reset();
    actions.push_back(RunAgent{*run_, victim_, device(), action});
}

void Execution::begin_device(base::Instant now, RunId& next_run, Actions& actions) {
    // A heuristic has no power to ask for, and nothing to switch on.
    if (is_heuristic() && (verifying_ || order_ == PowerOrder::on)) return next_device(now, next_run, actions);
    if (verifying_) {
        verify_until_ = now + verify_limit_;
        return run(AgentAction::status, next_run, actions);
    }
    const bool switches_off = order_ == PowerOrder::off && !is_heuristic();
    if (switches_off && !forbidden_.empty()) return give_up();
    if (switches_off && now < orders_from_) {
        poll_at_ = orders_from_;
        return;
    }
    run(order_ == PowerOrder::off ? AgentAction::off : AgentAction::on, next_run, actions);
}

void Execution::give_up() {
    probe_given_up.hit();
    detail_ = "given up: " + forbidden_;
    state_ = State::failed;
}

void Execution::next_device(base::Instant now, RunId& next_run, Actions& actions) {
    if (++device_ < level().size()) return begin_device(now, next_run, actions);
    device_ = 0;
    if (!verifying_) {
        verifying_ = true;
        return begin_device(now, next_run, actions);
    }
    if (std::ranges::all_of(level(), [&](const auto& name) { return std::ranges::count(heuristics_, name) > 0; })) {
        detail_ = "a level of heuristics only proves nothing";
        return level_failed(now, next_run, actions);
    }
    state_ = State::succeeded;
}

void Execution::level_failed(base::Instant now, RunId& next_run, Actions& actions) {
    probe_level_failed.hit();
    if (!only_looking_) actions.push_back(Note{"level " + std::to_string(level_ + 1) + " failed: " + detail_});
    device_ = 0;
    verifying_ = order_failed_ = only_looking_;
    if (++level_ < levels_.size()) return begin_device(now, next_run, actions);
    state_ = State::failed;
}

bool Execution::on_agent(const AgentFinished& finished, base::Instant now, RunId& next_run, Actions& actions) {
    if (!run_ || finished.run != *run_) return false;
    run_.reset();
    detail_ = describe_end(device(), running_, finished);
    const auto verdict = judge(running_, finished.exit, finished.code);
    if (verifying_) {
        on_status(verdict, now, next_run, actions);
    } else {
        on_ordered(verdict, now, next_run, actions);
    }
    return true;
}

void Execution::on_ordered(Verdict verdict, base::Instant now, RunId& next_run, Actions& actions) {
    if (verdict != Verdict::done) {
        if (is_heuristic()) return level_failed(now, next_run, actions);
        actions.push_back(Note{detail_});
        order_failed_ = true;
    }
    next_device(now, next_run, actions);
}

void Execution::on_status(Verdict verdict, base::Instant now, RunId& next_run, Actions& actions) {
    const auto wanted = order_ == PowerOrder::off ? Verdict::power_off : Verdict::power_on;
    if (verdict == wanted) {
        detail_ = device() + (only_looking_ ? " was off already" : order_ == PowerOrder::off ? " off" : " on");
        return next_device(now, next_run, actions);
    }
    if (order_failed_ || now + verify_interval_ > verify_until_) return level_failed(now, next_run, actions);
    poll_at_ = now + verify_interval_;
}

void Execution::on_time(base::Instant now, RunId& next_run, Actions& actions) {
    if (state_ != State::running || !poll_at_ || now < *poll_at_) return;
    if (verifying_) return run(AgentAction::status, next_run, actions);
    poll_at_.reset();
    begin_device(now, next_run, actions);
}

void Execution::check_invariants() const {
    base::ensure(state_ != State::running || run_.has_value() != poll_at_.has_value(),
                 "a running execution waits for its agent or for its next poll");
    base::ensure(!only_looking_ || (verifying_ && !poll_at_), "looking must not order or wait");
    base::ensure(state_ != State::succeeded || verifying_, "success without a status query");
}

void Execution::describe(base::JsonWriter& out) const {
    out.begin_object();
    out.member("order", order_ == PowerOrder::off ? "off" : "on").member("level", level_ + 1);
    if (state_ == State::running) {
        out.member("device", device()).member("step", verifying_ ? "verify" : poll_at_ ? "wait" : "switch");
    }
    out.member("detail", detail_).end_object();
}

}  // namespace fencing
