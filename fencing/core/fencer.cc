// Events from this node: clients, agents, operators, quorum, time. The group's side is in fencer_group.cc.
#include "fencing/core/fencer.hh"

#include <algorithm>
#include <ranges>

#include "base/ensure.hh"
#include "base/probe.hh"

namespace fencing {
namespace {

base::Probe probe_confirmed("fencing: an operator confirms");
base::Probe probe_withdrawn("fencing: a request is withdrawn");

}  // namespace

base::Duration backoff_after(std::uint32_t attempts, const Settings& settings) {
    const auto doublings = std::min<std::uint32_t>(attempts > 0 ? attempts - 1 : 0, 20);
    const auto wait = base::Duration::seconds(1) * (std::int64_t{1} << doublings);
    return std::min(wait, settings.longest_backoff);
}

Fencer::Fencer(Settings settings, const base::Uuid& incarnation, const std::vector<HistoryEntry>& past)
    : settings_(std::move(settings)), self_{settings_.self, incarnation}, slots_(settings_) {
    for (const auto& entry : past) {
        history_.add(entry);
        for (const auto& life : entry.dead) lives_.bury({entry.victim, life});
    }
    lives_.mention(self_);
}

void Fencer::step(const Event& event, base::Instant now, Actions& actions) {
    now_ = now;
    std::visit([&](const auto& each) { on(each, now, actions); }, event);
    drop_answered_requests();
    begin_what_is_due(now, actions);
    note_what_is_held(now);
    overlook_the_silent(now, actions);
    correct_rumours(actions);
    claim_what_is_due(now, actions);
    answer_absence(actions);
    if (lives_.is_dead(self_) && !own_death_reported_) {
        own_death_reported_ = true;
        actions.push_back(ReportOwnDeath{});
    }
}

void Fencer::on(const FenceRequested& event, base::Instant now, Actions& actions) {
    if (event.victim.node == settings_.self) {
        actions.push_back(Note{"refused: " + event.asker + " asked to fence this very node"});
        return;
    }
    if (lives_.is_dead(event.victim)) return;  // the driver tells every subscriber what is known
    auto& clients = wanted_[event.victim];
    const bool first = clients.empty();
    clients[event.client] = {event.reason, event.asker};
    lives_.mention(event.victim);
    if (first) look_first(event.victim.node, now, actions);
    if (first && is_member(settings_.self)) {
        actions.push_back(Multicast{Request{{event.victim, event.reason, event.asker}}});
    }
}

void Fencer::on(const FenceWithdrawn& event, base::Instant, Actions& actions) {
    probe_withdrawn.hit();
    const auto wanted = wanted_.find(event.victim);
    if (wanted == wanted_.end()) return;
    wanted->second.erase(event.client);
    if (!wanted->second.empty()) return;
    wanted_.erase(wanted);
    if (is_member(settings_.self)) actions.push_back(Multicast{Withdraw{event.victim}});
}

void Fencer::on(const ClientGone& event, base::Instant now, Actions& actions) {
    std::vector<base::NodeIncarnation> asked;
    for (const auto& [victim, clients] : wanted_) {
        if (clients.contains(event.client)) asked.push_back(victim);
    }
    for (const auto& victim : asked) on(FenceWithdrawn{event.client, victim}, now, actions);
}

void Fencer::on(const QuorumChanged& event, base::Instant, Actions& actions) {
    if (quorate_ != event.quorate) actions.push_back(Note{event.quorate ? "quorate" : "quorum lost: nobody is shot"});
    quorate_ = event.quorate;
    if (quorate_) return;
    for (auto& [victim, running] : running_) running.has_lost_quorum = true;
    decline_what_has_not_begun(actions);
}

void Fencer::on(const AgentFinished& event, base::Instant now, Actions& actions) {
    if (looked_at(event, now, actions)) return;
    for (auto& [victim, running] : running_) {
        regulate_orders(victim, running, now + order_pause, now);
        if (!running.execution.on_agent(event, now, next_run_, actions)) continue;
        conclude(victim, event.wall, now, actions);
        return;
    }
}

void Fencer::on(const AbsenceAsked& event, base::Instant, Actions& actions) {
    absence_asked_[event.question] = false;
    if (is_member(settings_.self)) actions.push_back(Multicast{Marker{event.question}});
}

void Fencer::on(const TimePassed& event, base::Instant now, Actions& actions) {
    std::vector<base::NodeId> ended;
    for (auto& [victim, running] : running_) {
        const auto due = running.execution.next_deadline();
        const bool is_late = due && now > *due + longest_lateness;
        regulate_orders(victim, running, is_late ? now + order_pause : now, now);
        running.execution.on_time(now, next_run_, actions);
        if (running.execution.state() != Execution::State::running) ended.push_back(victim);
    }
    for (const auto victim : ended) conclude(victim, event.wall, now, actions);
}

// A machine that is off already need not be shot, nor waited for: asked when a program of ours wants it dead, and again
// when it leaves the group. The group itself may be deaf at that time, until Corosync has noticed the death.
void Fencer::look_first(base::NodeId victim, base::Instant now, Actions& actions) {
    const auto wish = wanted_.lower_bound({victim, {}});
    if (wish == wanted_.end() || wish->first.node != victim) return;
    if (looking_.contains(victim) || !has_devices(victim)) return;
    Running running{Execution(victim, PowerOrder::off, settings_, now)};
    running.seen = running.requested = now;
    running.asker = wish->second.begin()->second.asker;
    running.reason = wish->second.begin()->second.reason;
    running.lives = lives_.open_lives(victim);
    auto& placed = looking_.emplace(victim, std::move(running)).first->second;
    placed.execution.start_looking(now, next_run_, actions);
}

bool Fencer::looked_at(const AgentFinished& event, base::Instant now, Actions& actions) {
    for (auto& [victim, running] : looking_) {
        if (!running.execution.on_agent(event, now, next_run_, actions)) continue;
        if (running.execution.state() == Execution::State::running) return true;
        const auto node = looking_.extract(victim);
        if (node.mapped().execution.state() == Execution::State::succeeded) {
            tell_end(node.key(), node.mapped(), event.wall, now, actions);
        }
        return true;
    }
    return false;
}

// An attempt with several devices may go on over splits and merges. Each of its orders keeps to the slots, and is given
// only when nobody can be shooting us: two that began to shoot each other while they were apart must not go on
// together.
void Fencer::regulate_orders(base::NodeId victim, Running& running, base::Instant earliest, base::Instant now) {
    if (running.question) return;
    if (others_come_first() && !has_waited_long(now)) earliest = now + order_pause;
    if (!is_in_slot(victim, earliest)) earliest = next_slot(victim, earliest);
    running.execution.hold_orders_until(earliest);
    running.execution.forbid_orders(reason_to_give_up(victim, running));
}

std::string Fencer::reason_to_give_up(base::NodeId victim, const Running& running) const {
    // Also where it is back since: the others may have judged without us.
    if (running.has_lost_quorum) return "quorum was lost";
    const auto operation = operations_.find(victim);
    const bool is_wanted_still = operation != operations_.end() && is_wanted(victim, operation->second);
    const auto is_over = [&](const base::Uuid& life) { return lives_.is_dead({victim, life}); };
    if (!is_wanted_still && !running.lives.empty() && std::ranges::all_of(running.lives, is_over)) {
        return "the life that was to end is over";
    }
    return reason_not_to_shoot(victim);
}

// Empty: it may be shot, if not now then later.
std::string Fencer::reason_not_to_shoot(base::NodeId victim) const {
    if (!quorate_) return "quorum is lost";
    return must_yield_to_own_shooter(victim) ? "a shot at this machine is under way and goes first" : "";
}

// Among the members of the group; whoever shoots us from elsewhere is kept apart by slots or by quorum.
bool Fencer::others_come_first() const {
    return is_member(settings_.self) && (!silent_.empty() || is_being_shot(settings_.self));
}

void Fencer::note_what_is_held(base::Instant now) {
    if (!others_come_first()) return held_since_.reset();
    const bool is_held = std::ranges::any_of(running_ | std::views::values,
                                             [](const Running& running) {
                                                 return !running.question && running.execution.holds_order();
                                             }) ||
                         std::ranges::any_of(operations_ | std::views::values,
                                             [](const Operation& operation) { return operation.begin_at.has_value(); });
    if (is_held && !held_since_) held_since_ = now;
}

bool Fencer::has_waited_long(base::Instant now) const { return held_since_ && now >= *held_since_ + longest_hold; }

// Of two shots that cross each other the one at the node with the longer delay (of equal ones, the lower id) is given
// up before its next order; the other waits for that.
bool Fencer::must_yield_to_own_shooter(base::NodeId victim) const {
    if (!is_member(settings_.self) || !is_being_shot(settings_.self)) return false;
    if (delay_of(settings_.self) != delay_of(victim)) return delay_of(settings_.self) < delay_of(victim);
    return settings_.self > victim;
}

void Fencer::on(const OperatorConfirmed& event, base::Instant, Actions& actions) {
    probe_confirmed.hit();
    const auto refuse = [&](const std::string& why) { actions.push_back(AnswerOperator{event.question, false, why}); };
    if (!settings_.nodes.contains(event.node)) return refuse("no such node in fencing.toml");
    if (is_member(event.node)) return refuse(name_of(event.node) + " is alive: it is a member of the group right now");
    HistoryEntry entry{.victim = event.node, .executor = settings_.self, .finished = event.wall};
    entry.seen = entry.requested = entry.started = event.wall;
    entry.outcome = Outcome::confirmed;
    entry.dead = lives_.open_lives(event.node);
    entry.asker = event.who;
    entry.reason = "manual confirmation";
    entry.detail = "a person stated that the machine is off";
    // True from now on, whatever becomes of the group: told here at once, and to the others.
    off_.insert(event.node);
    settle_nil_requests(event.node, false, actions);
    apply_dead(entry, actions);
    record(entry, actions);
    if (is_member(settings_.self)) actions.push_back(Multicast{Finished{entry}});
    actions.push_back(AnswerOperator{event.question, true, name_of(event.node) + " is taken for dead"});
}

void Fencer::on(const PowerOrdered& event, base::Instant now, Actions& actions) {
    const auto refuse = [&](const std::string& why) { actions.push_back(AnswerOperator{event.question, false, why}); };
    if (!settings_.nodes.contains(event.node)) return refuse("no such node in fencing.toml");
    if (running_.contains(event.node)) return refuse("an order to " + name_of(event.node) + " is being carried out");
    if (event.order == PowerOrder::off && event.node == settings_.self) {
        return refuse("a node cannot verify that it is off itself: run this on another one");
    }
    if (event.order == PowerOrder::on && is_being_shot(event.node)) {
        return refuse(name_of(event.node) + " is being fenced: wait for the end of it");
    }
    if (!has_devices(event.node)) return refuse("no device is configured for " + name_of(event.node));
    Running running{Execution(event.node, event.order, settings_, now)};
    running.question = event.question;
    running.seen = running.requested = now;
    running.asker = event.who;
    running.reason = event.order == PowerOrder::off ? "power off" : "power on";
    launch(event.node, std::move(running), now, actions);
}

void Fencer::launch(base::NodeId victim, Running running, base::Instant now, Actions& actions) {
    running.lives = lives_.open_lives(victim);
    auto& placed = running_.emplace(victim, std::move(running)).first->second;
    placed.execution.start(now, next_run_, actions);
}

// For the history.
void Fencer::describe_request(base::NodeId victim, const Operation& operation, Running& running) const {
    running.attempt = operation.attempts;
    running.seen = operation.since;
    if (const auto absence = absent_.find(victim); absence != absent_.end()) {
        running.seen = std::min(absence->second.since, operation.since);
    }
    running.requested = operation.since;
    running.asker = operation.asker;
    running.reason = operation.reason;
}

void Fencer::begin_attempt(base::NodeId victim, const Operation& operation, base::Instant now, Actions& actions) {
    Running running{Execution(victim, PowerOrder::off, settings_, now)};
    describe_request(victim, operation, running);
    actions.push_back(Note{"fencing " + name_of(victim) + ", attempt " + std::to_string(operation.attempts + 1) + ": " +
                           operation.reason + " (" + operation.asker + ")"});
    launch(victim, std::move(running), now, actions);
}

// The end of an attempt of ours, if it has ended.
void Fencer::conclude(base::NodeId victim, base::WallTime wall, base::Instant now, Actions& actions) {
    const auto found = running_.find(victim);
    if (found->second.execution.state() == Execution::State::running) return;
    const Running running = std::move(found->second);
    running_.erase(found);
    const bool succeeded = running.execution.state() == Execution::State::succeeded;
    if (running.question) actions.push_back(AnswerOperator{*running.question, succeeded, running.execution.detail()});
    if (running.execution.order() == PowerOrder::on) return;
    // An operator's failed order is told to the operator; it is no attempt of a pending fence.
    if (running.question && !succeeded) return;
    if (succeeded && !running.question) settle_nil_requests(victim, true, actions);
    tell_end(victim, running, wall, now, actions);
}

void Fencer::tell_end(base::NodeId victim, const Running& running, base::WallTime wall, base::Instant now,
                      Actions& actions) {
    const auto wall_of = [&](base::Instant then) {
        return base::WallTime{wall.nanoseconds - (now - then).nanoseconds};
    };
    const bool succeeded = running.execution.state() == Execution::State::succeeded;
    HistoryEntry entry{.victim = victim, .executor = settings_.self, .finished = wall};
    entry.seen = wall_of(running.seen);
    entry.requested = wall_of(running.requested);
    entry.started = wall_of(running.execution.started());
    entry.outcome = succeeded ? Outcome::fenced : Outcome::failed;
    entry.attempt = running.attempt;
    if (succeeded) entry.dead = running.lives;
    entry.asker = running.asker;
    entry.reason = running.reason;
    entry.detail = running.execution.detail();
    // Verified is verified: known here at once, though the message may have to wait until Corosync notices the death.
    if (succeeded) {
        if (!is_member(victim)) off_.insert(victim);
        apply_dead(entry, actions);
    }
    if (is_member(settings_.self)) {
        actions.push_back(Multicast{Finished{entry}});
    } else {
        record(entry, actions);
    }
}

}  // namespace fencing
