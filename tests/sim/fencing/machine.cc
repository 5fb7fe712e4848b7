#include "tests/sim/fencing/machine.hh"

#include <algorithm>

#include "base/ensure.hh"
#include "base/probe.hh"
#include "tests/sim/fencing/world.hh"

namespace sim_fencing {

using base::Duration;

namespace {

base::Probe probe_paused("simulated: a fencing daemon is paused");

}  // namespace

Machine::Machine(World& world, int index, sim::Random random)
    : world_(world),
      index_(index),
      random_(random),
      clock_error_(random_.between(Duration::seconds(-5), Duration::seconds(5))) {
    life_.node = node();
}

base::WallTime Machine::wall() const {
    return {(world_.scheduler().now() + clock_error_).nanoseconds + Duration::seconds(1'000'000).nanoseconds};
}

void Machine::power_on() {
    if (on_) return;
    on_ = true;
    last_on_ = world_.scheduler().now();
    ++boots_;
    life_.incarnation = random_.uuid();
    world_.note(node(), "power on, lives as " + life_.incarnation.text());
    world_.corosync().power_on(index_);
    world_.scheduler().after(random_.between(Duration::milliseconds(500), Duration::seconds(3)), [this, boot = boots_] {
        if (on_ && boots_ == boot && !daemon_) start_daemon();
    });
}

void Machine::power_off() {
    if (!on_) return;
    world_.note(node(), "power off");
    on_ = false;
    last_off_ = world_.scheduler().now();
    daemon_.reset();
    wishes_.clear();
    // What the disk had not yet written is lost.
    if (!disk_.empty() && random_.one_in(4)) disk_.pop_back();
    world_.corosync().power_off(index_);
}

void Machine::pause_daemon(Duration lasts) {
    if (!daemon_ || paused_) return;
    world_.note(node(), "daemon is paused");
    probe_paused.hit();
    paused_ = true;
    world_.scheduler().after(lasts, [this, process = process_] {
        if (!daemon_ || process_ != process) return;
        paused_ = false;
        while (daemon_ && process_ == process && !waiting_.empty()) {
            const auto event = std::move(waiting_.front());
            waiting_.pop_front();
            step(event);
        }
    });
}

void Machine::start_daemon() {
    ++process_;
    paused_ = false;
    waiting_.clear();
    absence_asked_.clear();
    ordered_off_.clear();
    daemon_ = std::make_unique<fencing::Fencer>(world_.settings_of(node()), life_.incarnation, disk_);
    world_.note(node(), "daemon starts");
    world_.corosync().join(index_, process_);
    // Programs subscribe again and are told every death that is known.
    for (const auto& life : daemon_->lives().dead()) wishes_.erase(life);
    for (const auto& [victim, clients] : wishes_) {
        for (const auto& [client, since] : clients) {
            step(fencing::FenceRequested{client, victim, "asked before", client});
        }
    }
}

void Machine::crash_daemon() {
    if (!daemon_) return;
    world_.note(node(), "daemon crashes");
    daemon_.reset();
    world_.corosync().process_died(index_);
    world_.scheduler().after(random_.between(Duration::milliseconds(200), Duration::seconds(4)), [this, boot = boots_] {
        if (on_ && boots_ == boot && !daemon_) start_daemon();
    });
}

void Machine::ask(const std::string& client, const base::NodeIncarnation& victim) {
    if (!on_ || victim.node == node() || (daemon_ && daemon_->lives().is_dead(victim))) return;
    if (!wishes_[victim].emplace(client, world_.scheduler().now()).second) return;
    world_.note(node(),
                client + " asks for node " + std::to_string(victim.node.value) + " " + victim.incarnation.text());
    world_.was_asked(victim.node);
    step(fencing::FenceRequested{client, victim, "lost", client});
}

void Machine::withdraw(const std::string& client, const base::NodeIncarnation& victim) {
    const auto wish = wishes_.find(victim);
    if (wish == wishes_.end() || wish->second.erase(client) == 0) return;
    if (wish->second.empty()) wishes_.erase(wish);
    world_.note(node(), client + " withdraws node " + std::to_string(victim.node.value));
    world_.was_asked(victim.node);
    step(fencing::FenceWithdrawn{client, victim});
}

void Machine::confirm(base::NodeId victim) { step(fencing::OperatorConfirmed{1, victim, "operator", wall()}); }

void Machine::order_off(base::NodeId victim) {
    if (!daemon_) return;
    world_.note(node(), "operator orders node " + std::to_string(victim.value) + " off");
    world_.was_asked(victim);
    const auto question = next_question_++;
    ordered_off_[question] = victim;
    step(fencing::PowerOrdered{question, victim, fencing::PowerOrder::off, "operator"});
}

void Machine::step(const fencing::Event& event) {
    if (!daemon_) return;
    if (paused_) return waiting_.push_back(event);
    base::ensure(!stepping_, "the simulator steps a daemon inside its own step");
    stepping_ = true;
    fencing::Actions actions;
    daemon_->step(event, world_.scheduler().now(), actions);
    daemon_->check_invariants();
    stepping_ = false;
    for (const auto& action : actions) {
        if (daemon_) std::visit([this](const auto& each) { carry_out(each); }, action);
    }
    if (daemon_) arm_timer();
}

void Machine::arm_timer() {
    const auto deadline = daemon_->next_deadline();
    const auto armed = ++timer_;
    if (!deadline) return;
    world_.scheduler().at(std::max(*deadline, world_.scheduler().now() + Duration::microseconds(1)), [this, armed] {
        if (daemon_ && timer_ == armed) step(fencing::TimePassed{wall()});
    });
}

void Machine::carry_out(const fencing::Multicast& action) { world_.corosync().multicast(index_, action.message); }

void Machine::carry_out(const fencing::RunAgent& action) {
    world_.note(node(), "runs " + action.device + " " + fencing::text_of(action.action));
    if (action.action == fencing::AgentAction::off) world_.check_was_asked(action.victim);
    const auto boot = boots_;
    const auto process = process_;
    const auto victim = static_cast<int>(action.victim.value) - 1;
    const bool by_operator =
        std::ranges::any_of(ordered_off_, [&](const auto& each) { return each.second == action.victim; });
    // An order that left this machine takes effect even when the machine is shot meanwhile; the environment's own
    // power cuts stop it. The operator's order is no claim, and the environment's: the device is stuck when the shots
    // that are under way leave only this victim.
    const auto may_act = [this, boot, victim, by_operator](std::optional<int> without) {
        if (by_operator && !without && !world_.one_lives_when_shot(victim)) return false;
        return (on_ && boots_ == boot && without != index_) || world_.was_shot(index_, boot);
    };
    world_.device(action.device).run(action.action, may_act, [this, boot, process, run = action.run](Device::End end) {
        if (!daemon_ || boots_ != boot || process_ != process) return;
        step(fencing::AgentFinished{run, end.exit, end.code, "", wall()});
    });
}

void Machine::carry_out(const fencing::ReportFenced& action) {
    world_.note(node(),
                "reports dead: node " + std::to_string(action.dead.node.value) + " " + action.dead.incarnation.text());
    auto since = world_.scheduler().now();
    const auto wish = wishes_.find(action.dead);
    // Whichever life: an answer to those that ask, if they did not withdraw while the daemon was paused.
    if (wish == wishes_.end() && action.dead.incarnation.is_nil()) return;
    if (wish != wishes_.end()) {
        for (const auto& [client, when] : wish->second) since = std::min(since, when);
        wishes_.erase(wish);
    }
    world_.check_dead(action.dead, since);
}

void Machine::carry_out(const fencing::RecordHistory& action) { disk_.push_back(action.entry); }

void Machine::carry_out(const fencing::ReportOwnDeath&) { world_.fail("a living machine is held for dead", node()); }

void Machine::ask_for_absence() {
    if (!daemon_) return;
    const auto question = next_question_++;
    absence_asked_[question] = world_.scheduler().now();
    step(fencing::AbsenceAsked{question});
}

void Machine::carry_out(const fencing::AnswerAbsence& action) {
    world_.check_nobody_missing(node(), absence_asked_.at(action.question));
    absence_asked_.erase(action.question);
}

void Machine::carry_out(const fencing::Note& action) { world_.note(node(), action.line); }

}  // namespace sim_fencing
