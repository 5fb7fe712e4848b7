// Pending fences, the facts, and how a Fencer shows itself.
#include <algorithm>
#include <bit>

#include "base/ensure.hh"
#include "base/probe.hh"
#include "fencing/core/fencer.hh"

namespace fencing {
namespace {

base::Probe probe_buried("fencing: a life is buried");

}  // namespace

void Fencer::add_request(base::NodeId asker, const OpenRequest& request, base::Instant now) {
    const auto& victim = request.victim;
    if (victim.node == asker || lives_.is_dead(victim)) return;
    lives_.mention(victim);
    auto [found, is_new] = operations_.try_emplace(victim.node);
    auto& operation = found->second;
    if (is_new) {
        operation.since = now;
        operation.ready_at = has_slots(victim.node) ? now : now + delay_of(victim.node);
        operation.asker = request.asker;
        operation.reason = request.reason;
        let_withdraw(victim.node, operation);
    }
    operation.requests.try_emplace({asker, victim.incarnation}, Operation::Asked{request.reason, request.asker, false});
}

void Fencer::let_withdraw(base::NodeId victim, Operation& operation) const {
    if (is_member(victim)) operation.ready_at = std::max(operation.ready_at, joined_at_ + time_to_withdraw);
}

void Fencer::remove_request(base::NodeId asker, const base::NodeIncarnation& victim) {
    const auto found = operations_.find(victim.node);
    if (found != operations_.end()) found->second.requests.erase({asker, victim.incarnation});
}

void Fencer::release(base::NodeId executor, Operation& operation) const {
    operation.executors.erase(executor);
    if (executor == settings_.self) operation.begin_at.reset();
}

void Fencer::drop_requests_of(base::NodeId asker, Operation& operation) {
    std::erase_if(operation.requests, [&](const auto& each) { return each.first.first == asker; });
}

// Requests for "whichever life" are answered by the act, not by a fact.
void Fencer::settle_nil_requests(base::NodeId victim, bool only_covered, Actions& actions) {
    const auto found = operations_.find(victim);
    if (found == operations_.end()) return;
    const auto is_settled = [&](const auto& each) {
        return each.first.second.is_nil() && (each.second.covered || !only_covered);
    };
    const bool ours = std::ranges::any_of(found->second.requests, [&](const auto& each) {
        return is_settled(each) && each.first.first == settings_.self;
    });
    std::erase_if(found->second.requests, is_settled);
    if (!ours) return;
    wanted_.erase({victim, {}});
    actions.push_back(ReportFenced{{victim, {}}});
}

void Fencer::drop_answered_requests() {
    for (auto& [victim, operation] : operations_) {
        std::erase_if(operation.requests, [&, v = victim](const auto& each) {
            return lives_.is_dead({v, each.first.second});
        });
    }
    std::erase_if(operations_,
                  [](const auto& each) { return each.second.requests.empty() && each.second.executors.empty(); });
}

// A member that lives as Z will say itself that X is over, if it is: nobody is shot over a rumour. Who was overlooked
// has announced nothing to some of the members.
bool Fencer::is_wanted(base::NodeId victim, const Operation& operation) const {
    const auto announced = announced_.find(victim);
    const bool is_announced = announced != announced_.end() && !unheard_.contains(victim);
    return std::ranges::any_of(operation.requests, [&](const auto& each) {
        const auto& life = each.first.second;
        return life.is_nil() || !is_announced || announced->second == life;
    });
}

bool Fencer::is_being_shot(base::NodeId node) const {
    const auto found = operations_.find(node);
    return found != operations_.end() && !found->second.executors.empty();
}

// How many candidates come before us; nothing when we are none. The lowest node is first, and a failed attempt passes
// to the next.
std::optional<std::int64_t> Fencer::own_turn(base::NodeId victim, const Operation& operation) const {
    if (!is_member(settings_.self) || victim == settings_.self || is_being_shot(settings_.self)) return std::nullopt;
    std::int64_t count = 0;
    std::int64_t own = 0;
    for (const auto node : members_) {
        if (node == victim || is_being_shot(node)) continue;
        if (node == settings_.self) own = count;
        ++count;
    }
    const auto first = static_cast<std::int64_t>(operation.attempts) % count;
    return (own - first + count) % count;
}

bool Fencer::has_devices(base::NodeId victim) const {
    const auto found = settings_.nodes.find(victim);
    return found != settings_.nodes.end() &&
           std::ranges::any_of(found->second.levels, [](const auto& level) { return !level.empty(); });
}

bool Fencer::waits_for_time_only(base::NodeId victim, const Operation& operation) const {
    return operation.executors.empty() && quorate_ && silent_.empty() && !unheard_.contains(settings_.self) &&
           operation.claim_sent != operation.attempts && is_wanted(victim, operation) && own_turn(victim, operation) &&
           !running_.contains(victim) && has_devices(victim) && !lives_.is_dead(self_);
}

void Fencer::claim_what_is_due(base::Instant now, Actions& actions) {
    for (auto& [victim, operation] : operations_) {
        if (!waits_for_time_only(victim, operation) || now < due_at(victim, operation, now)) continue;
        operation.claim_sent = operation.attempts;
        actions.push_back(Multicast{Claim{victim, operation.attempts}});
    }
}

// When the claim may be made, as seen from `now`.
base::Instant Fencer::due_at(base::NodeId victim, const Operation& operation, base::Instant now) const {
    const auto earliest = std::max(operation.ready_at + turn * own_turn(victim, operation).value_or(0), now);
    return next_slot(victim, earliest);
}

bool Fencer::is_in_slot(base::NodeId victim, base::Instant now) const {
    const auto absence = absent_.find(victim);
    if (!slots_.exist() || absence == absent_.end()) return true;
    return now >= absence->second.slots_from && slots_.may_begin(victim, absence->second.slots_from, now);
}

base::Instant Fencer::next_slot(base::NodeId victim, base::Instant earliest) const {
    const auto absence = absent_.find(victim);
    return absence == absent_.end() ? earliest : slots_.next(victim, absence->second.slots_from, earliest);
}

base::Duration Fencer::delay_of(base::NodeId victim) const {
    const auto found = settings_.nodes.find(victim);
    return found == settings_.nodes.end() ? base::Duration{} : found->second.delay;
}

std::optional<base::Instant> Fencer::next_deadline() const {
    std::optional<base::Instant> first;
    const auto consider = [&](std::optional<base::Instant> when) {
        if (when && (!first || *when < *first)) first = when;
    };
    for (const auto& [victim, running] : running_) consider(running.execution.next_deadline());
    if (!silent_.empty() && !overlooked_ && is_member(settings_.self)) consider(joined_at_ + longest_silence);
    for (const auto& [victim, operation] : operations_) {
        if (operation.begin_at) consider(operation.begin_at);
        if (waits_for_time_only(victim, operation)) consider(due_at(victim, operation, now_));
    }
    return first;
}

void Fencer::bury(const base::NodeIncarnation& life, Actions& actions) {
    probe_buried.hit();
    if (!lives_.bury(life)) return;
    wanted_.erase(life);
    if (const auto announced = announced_.find(life.node);
        announced != announced_.end() && announced->second == life.incarnation) {
        announced_.erase(announced);
    }
    actions.push_back(ReportFenced{life});
}

void Fencer::apply_dead(const HistoryEntry& entry, Actions& actions) {
    for (const auto& life : entry.dead) bury({entry.victim, life}, actions);
}

// Failures are retried for ever: the 1st, 2nd, 4th, 8th … are worth a line.
void Fencer::record(const HistoryEntry& entry, Actions& actions) {
    if (entry.outcome == Outcome::failed && !std::has_single_bit(std::uint64_t{entry.attempt} + 1)) return;
    if (history_.add(entry)) actions.push_back(RecordHistory{entry});
}

std::optional<base::Uuid> Fencer::current_life(base::NodeId node) const {
    if (node == settings_.self) return self_.incarnation;
    const auto found = announced_.find(node);
    return found == announced_.end() ? std::nullopt : std::optional(found->second);
}

std::string Fencer::name_of(base::NodeId node) const {
    const auto found = settings_.nodes.find(node);
    return found == settings_.nodes.end() ? "node " + std::to_string(node.value) : found->second.name;
}

void Fencer::check_invariants() const {
    for (const auto& [victim, operation] : operations_) {
        base::ensure(!operation.requests.empty() || !operation.executors.empty(), "an operation that nobody wants");
        for (const auto executor : operation.executors) {
            base::ensure(is_member(executor), "an executor outside the group");
        }
        base::ensure(!operation.executors.contains(victim), "a node that shoots itself");
        base::ensure(!operation.begin_at || operation.executors.contains(settings_.self),
                     "a claim that holds only here");
        for (const auto& [key, asked] : operation.requests) {
            base::ensure(is_member(key.first), "a request of a node outside the group");
            base::ensure(!lives_.is_dead({victim, key.second}), "a request that is answered already");
        }
    }
    for (const auto& [node, life] : announced_) base::ensure(is_member(node), "an announced node outside the group");
    for (const auto& [victim, clients] : wanted_) {
        base::ensure(!clients.empty(), "a wish of nobody");
        base::ensure(!lives_.is_dead(victim), "a wish that is fulfilled already");
    }
    for (const auto& [victim, running] : running_) {
        running.execution.check_invariants();
        base::ensure(running.execution.state() == Execution::State::running, "an execution that ended is kept");
    }
    for (const auto& [victim, running] : looking_) running.execution.check_invariants();
    for (const auto& life : lives_.known()) base::ensure(!lives_.is_dead(life), "a life both open and over");
}

void Fencer::describe_nodes(base::JsonWriter& out) const {
    out.key("nodes").begin_array();
    for (const auto& [node, plan] : settings_.nodes) {
        const auto life = current_life(node);
        out.begin_object().member("id", node.value).member("name", plan.name).member("member", is_member(node));
        out.member("incarnation", life ? life->text() : std::string());
        out.member("delay_ms", plan.delay.to_milliseconds());
        out.key("levels").begin_array();
        for (const auto& level : plan.levels) {
            out.begin_array();
            for (const auto& device : level) out.value(device);
            out.end_array();
        }
        out.end_array();
        if (node != settings_.self && !has_devices(node)) out.member("warning", "no fence device: it cannot be fenced");
        out.end_object();
    }
    out.end_array();
}

void Fencer::describe(base::Instant now, base::JsonWriter& out) const {
    out.begin_object();
    out.member("node", settings_.self.value).member("incarnation", self_.incarnation.text());
    out.member("in_group", is_member(settings_.self)).member("quorate", quorate_);
    out.member("own_life_is_over", lives_.is_dead(self_));
    describe_nodes(out);
    out.key("fences").begin_array();
    for (const auto& [victim, operation] : operations_) operation.describe(victim, now, out);
    out.end_array();
    out.key("running").begin_array();
    for (const auto& [victim, running] : running_) {
        out.begin_object().member("victim", victim.value).member("asker", running.asker).key("execution");
        running.execution.describe(out);
        out.end_object();
    }
    out.end_array();
    out.key("dead").begin_array();
    for (const auto& life : lives_.dead()) {
        out.begin_object().member("node", life.node.value).member("incarnation", life.incarnation.text()).end_object();
    }
    out.end_array();
    out.end_object();
}

}  // namespace fencing
