// The group's side of Fencer: views and messages, in the same order on every member.
#include <algorithm>

#include "base/ensure.hh"
#include "base/probe.hh"
#include "fencing/core/fencer.hh"

namespace fencing {
namespace {

base::Probe probe_member_gone("fencing: a member leaves the group");
base::Probe probe_overlooked("fencing: a silent member is overlooked");
base::Probe probe_declined("fencing: a claim is declined");

}  // namespace

void Fencer::on(const ViewChanged& event, base::Instant now, Actions& actions) {
    const auto& view = event.view;
    std::set<base::NodeId> present;
    for (const auto& member : view.members) present.insert(member.node);
    std::set<base::NodeId> left;
    for (const auto& gone : view.left) {
        left.insert(gone.member.node);
        if (gone.reason == base::LeaveReason::leave) left_in_order_.insert(gone.member.node);
    }
    std::ranges::set_difference(members_, present, std::inserter(left, left.end()));
    for (const auto node : left) member_left(node, now);
    for (const auto node : left) look_first(node, now, actions);
    members_ = std::move(present);
    std::erase_if(left_in_order_, [&](const auto node) { return members_.contains(node); });
    std::erase_if(off_, [&](const auto node) { return members_.contains(node); });
    std::erase_if(absent_, [&](const auto& each) { return members_.contains(each.first); });
    // Whoever went without a word may have been the one to tell the facts: then everybody tells them.
    bool facts_are_missing = false;
    for (const auto node : left) facts_are_missing = silent_.erase(node) > 0 || facts_are_missing;
    for (const auto node : left) unheard_.erase(node);
    if (!is_member(settings_.self)) return;
    if (facts_are_missing) send_facts(actions);
    if (view.joined.empty()) return;
    silent_ = unheard_ = members_;
    joined_at_ = now;
    for (auto& [victim, operation] : operations_) let_withdraw(victim, operation);
    overlooked_ = false;
    decline_what_has_not_begun(actions);
    rejoin(view, actions);
}

std::vector<base::NodeId> Fencer::missing() const {
    std::vector<base::NodeId> nodes;
    for (const auto& [node, plan] : settings_.nodes) {
        if (node == settings_.self || is_member(node) || left_in_order_.contains(node)) continue;
        const bool heard = settings_.nodes.size() > 2 || heard_.contains(node) || off_.contains(node);
        if (!heard || !lives_.open_lives(node).empty()) nodes.push_back(node);
    }
    return nodes;
}

void Fencer::delivered(base::NodeId sender, const Marker& marker, base::Instant, Actions&) {
    const auto asked = absence_asked_.find(marker.number);
    if (sender == settings_.self && asked != absence_asked_.end()) asked->second = true;
}

// Judged when all members have spoken: what one of them has heard of somebody, all have heard then.
void Fencer::answer_absence(Actions& actions) {
    if (absence_asked_.empty() || !is_member(settings_.self) || !silent_.empty() || !missing().empty()) return;
    std::erase_if(absence_asked_, [&](const auto& asked) {
        if (asked.second) actions.push_back(AnswerAbsence{asked.first});
        return asked.second;
    });
}

void Fencer::member_left(base::NodeId node, base::Instant now) {
    probe_member_gone.hit();
    announced_.erase(node);
    // It was shooting us when it went: what it has ordered comes first, then its slot, then ours.
    const auto ours = operations_.find(settings_.self);
    const bool was_shooting = ours != operations_.end() && ours->second.executors.contains(node);
    absent_[node] = {now, was_shooting ? now + slots_.round() : now};
    for (auto& [victim, operation] : operations_) {
        drop_requests_of(node, operation);
        release(node, operation);
        if (node == settings_.self) operation.claim_sent.reset();
        // Now both halves may want to shoot: the delay counts from here.
        if (victim == node) operation.ready_at = std::max(operation.ready_at, now + delay_of(victim));
    }
    if (node == settings_.self) corrected_.clear();
}

void Fencer::rejoin(const base::GroupView& view, Actions& actions) {
    // In this order: who has heard all Hellos has all facts.
    if (is_sender_of_facts(view)) send_facts(actions);
    say_hello(actions);
    for (const auto& [question, marked] : absence_asked_) {
        if (!marked) actions.push_back(Multicast{Marker{question}});
    }
}

// The lowest of those that were here tells those that come; who comes tells what it knows itself.
bool Fencer::is_sender_of_facts(const base::GroupView& view) const {
    std::set<base::NodeId> joined;
    for (const auto& member : view.joined) joined.insert(member.node);
    if (joined.contains(settings_.self)) return !lives_.dead().empty() || !history_.entries().empty();
    const auto lowest = std::ranges::find_if(members_, [&](base::NodeId node) { return !joined.contains(node); });
    return lowest != members_.end() && *lowest == settings_.self;
}

void Fencer::say_hello(Actions& actions) {
    Hello hello{.incarnation = self_.incarnation, .superseded = {}, .requests = {}, .executing = {}};
    for (const auto& life : lives_.open_lives(settings_.self)) {
        if (life == self_.incarnation) continue;
        hello.superseded.push_back(life);
        corrected_.insert(life);
    }
    for (const auto& [victim, clients] : wanted_) {
        const auto& first = clients.begin()->second;
        hello.requests.push_back({victim, first.reason, first.asker});
    }
    for (const auto& [victim, running] : running_) {
        if (!running.question) hello.executing.push_back({victim, running.attempt});
    }
    actions.push_back(Multicast{std::move(hello)});
}

void Fencer::send_facts(Actions& actions) const {
    Facts facts;
    const auto flush_when_full = [&] {
        if (facts.dead.size() + facts.known.size() < max_list_entries) return;
        actions.push_back(Multicast{std::exchange(facts, {})});
    };
    for (const auto& life : lives_.dead()) {
        facts.dead.push_back(life);
        flush_when_full();
    }
    for (const auto& life : lives_.known()) {
        facts.known.push_back(life);
        flush_when_full();
    }
    actions.push_back(Multicast{std::move(facts)});
    for (auto& batch : history_.batches()) actions.push_back(Multicast{std::move(batch)});
}

// Somebody speaks of another life of this node: this one, which speaks now, is the later one. No Hello: that would also
// tell what is executed, and claims of ours may be under way.
void Fencer::correct_rumours(Actions& actions) {
    if (!is_member(settings_.self)) return;
    for (const auto& life : lives_.open_lives(settings_.self)) {
        if (life == self_.incarnation || !corrected_.insert(life).second) continue;
        actions.push_back(Multicast{Facts{{{settings_.self, life}}, {self_}}});
    }
}

void Fencer::on(const MessageDelivered& event, base::Instant now, Actions& actions) {
    const auto sender = event.sender.node;
    if (!is_member(sender)) return;  // cannot be; a driver that errs must not make us err
    std::visit([&](const auto& message) { delivered(sender, message, now, actions); }, event.message);
}

void Fencer::delivered(base::NodeId sender, const Hello& hello, base::Instant now, Actions& actions) {
    silent_.erase(sender);
    const base::NodeIncarnation speaker{sender, hello.incarnation};
    if (lives_.is_dead(speaker)) {
        actions.push_back(Note{name_of(sender) + " speaks from a life that is known to be over: ignored"});
        announced_.erase(sender);
        return;
    }
    unheard_.erase(sender);
    lives_.mention(speaker);
    announced_[sender] = hello.incarnation;
    heard_.insert(sender);
    for (const auto& life : hello.superseded) bury({sender, life}, actions);
    for (auto& [victim, operation] : operations_) {
        std::erase_if(operation.requests, [&](const auto& each) {
            const auto& [asker, life] = each.first;
            const auto same = [&, v = victim](const OpenRequest& open) {
                return open.victim == base::NodeIncarnation{v, life};
            };
            return asker == sender && std::ranges::none_of(hello.requests, same);
        });
    }
    for (const auto& request : hello.requests) add_request(sender, request, now);
    adopt_executions(sender, hello.executing, now);
}

void Fencer::delivered(base::NodeId, const Overlook& overlook, base::Instant, Actions& actions) {
    probe_overlooked.hit();
    if (silent_.erase(overlook.silent) == 0) return;
    actions.push_back(Note{name_of(overlook.silent) + " has joined and says nothing: going on without it"});
    // Not everybody here knows what it wants and whom it shoots; its Hello will tell what still counts.
    for (auto& [victim, operation] : operations_) {
        drop_requests_of(overlook.silent, operation);
        release(overlook.silent, operation);
    }
    send_facts(actions);
}

void Fencer::overlook_the_silent(base::Instant now, Actions& actions) {
    if (silent_.empty() || overlooked_ || !is_member(settings_.self) || now < joined_at_ + longest_silence) return;
    overlooked_ = true;
    for (const auto node : silent_) actions.push_back(Multicast{Overlook{node}});
}

// Attempts may have begun where we could not hear the claim, on the other side of a split; and what the speaker does
// not list it does not execute.
void Fencer::adopt_executions(base::NodeId executor, const std::vector<ExecutedAttempt>& executing, base::Instant now) {
    for (auto& [victim, operation] : operations_) release(executor, operation);
    for (const auto& executed : executing) {
        if (executed.victim == executor) continue;
        auto [found, is_new] = operations_.try_emplace(executed.victim);
        auto& operation = found->second;
        if (is_new) operation.since = operation.ready_at = now;
        operation.attempts = std::max(operation.attempts, executed.attempt);
        operation.executors.insert(executor);
    }
}

void Fencer::delivered(base::NodeId sender, const Request& request, base::Instant now, Actions&) {
    add_request(sender, request.request, now);
}

void Fencer::delivered(base::NodeId sender, const Withdraw& withdraw, base::Instant, Actions&) {
    remove_request(sender, withdraw.victim);
}

void Fencer::delivered(base::NodeId sender, const Claim& claim, base::Instant now, Actions& actions) {
    const auto found = operations_.find(claim.victim);
    // Every member comes to the same answer, because all have heard each other since the last join; and whoever claims
    // has said Hello since: a claim from before might contradict the Hello that follows it.
    const bool valid = silent_.empty() && !unheard_.contains(sender) && found != operations_.end() &&
                       found->second.executors.empty() && sender != claim.victim && !is_being_shot(sender) &&
                       is_wanted(claim.victim, found->second);
    if (!valid) {
        if (found != operations_.end() && sender == settings_.self) found->second.claim_sent.reset();
        return;
    }
    auto& operation = found->second;
    operation.executors.insert(sender);
    operation.attempts = std::max(operation.attempts, claim.attempt);
    for (auto& [key, asked] : operation.requests) asked.covered = true;
    if (sender != settings_.self) return;
    operation.claim_sent.reset();
    // Corosync tells CPG and quorum on two wires: a minority must not shoot on stale news of quorum.
    const bool pair = settings_.nodes.size() == 2;
    operation.begin_at = pair ? now : now + settings_.quorum_settle;
    begin_what_is_due(now, actions);
}

// Claims that held where we were: without quorum, or before others came who may hold claims of their own.
void Fencer::decline_what_has_not_begun(Actions& actions) {
    for (auto& [victim, operation] : operations_) {
        if (!operation.begin_at) continue;
        operation.begin_at.reset();
        actions.push_back(Multicast{Decline{victim, operation.attempts}});
    }
}

std::string Fencer::reason_not_to_begin(base::NodeId victim, const Operation& operation, base::Instant now) const {
    if (now > *operation.begin_at + longest_lateness) return "this daemon was paused and its claim is old";
    if (running_.contains(victim)) return "an order to it is being carried out";
    if (operation.executors.size() > 1) return "another node shoots it already";
    if (!is_wanted(victim, operation)) return "nobody asks for it any more";
    if (!is_in_slot(victim, now)) return "its delay has to pass again";
    if (others_come_first() && has_waited_long(now)) {
        return "a shot at this machine does not come to an end; by hand: cfs-fence off " + name_of(victim);
    }
    return reason_not_to_shoot(victim);
}

void Fencer::begin_what_is_due(base::Instant now, Actions& actions) {
    for (auto& [victim, operation] : operations_) {
        if (!operation.begin_at || now < *operation.begin_at) continue;
        const auto why_not = reason_not_to_begin(victim, operation, now);
        // If all that are shot gave their claims back, three that want each other dead could do so by turns for ever.
        if (why_not.empty() && others_come_first()) {
            operation.begin_at = now + order_pause;
            continue;
        }
        operation.begin_at.reset();
        if (why_not.empty()) {
            begin_attempt(victim, operation, now, actions);
        } else {
            actions.push_back(Note{"not fencing " + name_of(victim) + " now: " + why_not});
            actions.push_back(Multicast{Decline{victim, operation.attempts}});
        }
    }
}

void Fencer::delivered(base::NodeId sender, const Decline& decline, base::Instant now, Actions&) {
    probe_declined.hit();
    const auto found = operations_.find(decline.victim);
    if (found == operations_.end() || !found->second.executors.contains(sender)) return;
    auto& operation = found->second;
    release(sender, operation);
    operation.attempts = decline.attempt + 1;
    operation.last_failure = name_of(sender) + " was not allowed to shoot when its turn came";
    operation.ready_at = now + backoff_after(1, settings_);
}

void Fencer::delivered(base::NodeId sender, const Finished& finished, base::Instant now, Actions& actions) {
    const auto& entry = finished.entry;
    if (entry.outcome != Outcome::failed && !is_member(entry.victim)) off_.insert(entry.victim);
    // What a person said of a machine that was away says nothing of the life in which it is back.
    const bool is_late = entry.outcome == Outcome::confirmed && is_member(entry.victim);
    if (entry.outcome != Outcome::failed && !is_late) {
        settle_nil_requests(entry.victim, entry.outcome == Outcome::fenced, actions);
    }
    apply_dead(entry, actions);
    record(entry, actions);
    attempt_ended(sender, entry, now);
}

void Fencer::attempt_ended(base::NodeId executor, const HistoryEntry& entry, base::Instant now) {
    const auto found = operations_.find(entry.victim);
    if (found == operations_.end() || entry.outcome == Outcome::confirmed) return;  // the agents still run
    auto& operation = found->second;
    // Counted on every member, also on those that did not hear of the claim: they choose the next executor by it.
    if (!operation.executors.contains(executor)) {
        if (entry.outcome == Outcome::failed) operation.attempts = std::max(operation.attempts, entry.attempt + 1);
        return;
    }
    release(executor, operation);
    operation.last_failure = entry.outcome == Outcome::failed ? entry.detail : "";
    operation.attempts = entry.outcome == Outcome::failed ? operation.attempts + 1 : 0;
    operation.ready_at = now + (entry.outcome == Outcome::failed ? backoff_after(operation.attempts, settings_)
                                                                 : delay_of(entry.victim));
    if (!operation.executors.empty()) return;
    for (auto& [key, asked] : operation.requests) asked.covered = false;
}

void Fencer::delivered(base::NodeId, const Facts& facts, base::Instant, Actions& actions) {
    for (const auto& life : facts.dead) bury(life, actions);
    for (const auto& life : facts.known) lives_.mention(life);
}

void Fencer::delivered(base::NodeId, const HistoryBatch& batch, base::Instant, Actions& actions) {
    for (const auto& entry : batch.entries) {
        apply_dead(entry, actions);
        record(entry, actions);
    }
}

}  // namespace fencing
