// The owner's side: locks of this process, what they wait for, what masters answer.
#include <algorithm>

#include "base/ensure.hh"
#include "base/probe.hh"
#include "dlm/core/lockspace.hh"

namespace dlm {
namespace {

base::Probe probe_redirected("dlm: a request is sent to another master");
base::Probe probe_cancelled("dlm: a request is cancelled");

bool flags_fit_request(const LockRequested& event) {
    return is_valid_name(event.name) && (!event.flags.has(Flag::expedite) || event.mode == Mode::NL) &&
           !event.flags.has(Flag::queue_conversion);
}

bool flags_fit_conversion(Mode from, const ConversionRequested& event) {
    if (event.flags.has(Flag::expedite)) return false;
    return !event.flags.has(Flag::queue_conversion) || !is_lower_or_equal(from, event.mode);
}

}  // namespace

void Lockspace::on(const LockRequested& event) {
    if (!flags_fit_request(event)) return act(Completed{event.lock, event.operation, Outcome::invalid, {}, false, {}});
    // Who leaves has said that it holds nothing, and will not.
    if (membership_.terminal() || membership_.leaving()) {
        return act(Completed{event.lock, event.operation, Outcome::cancelled, {}, false, {}});
    }
    auto& lock = owned_[event.lock];
    base::ensure(!lock.pending && !lock.granted, "a lock id was used twice");
    lock.name = event.name;
    lock.pending = Pending{event.operation, event.mode, event.flags, false, false};
    dispatch(event.lock, lock);
}

void Lockspace::on(const ConversionRequested& event) {
    const auto found = owned_.find(event.lock);
    if (found == owned_.end() || !found->second.granted || found->second.pending ||
        !flags_fit_conversion(*found->second.granted, event)) {
        return act(Completed{event.lock, event.operation, Outcome::invalid, {}, false, {}});
    }
    auto& lock = found->second;
    if (is_done_without_master(lock, event)) return lower(event.lock, lock, event);
    if (membership_.terminal()) {
        return act(Completed{event.lock, event.operation, Outcome::cancelled, *lock.granted, false, {}});
    }
    lock.pending = Pending{event.operation, event.mode, event.flags, false, false};
    dispatch(event.lock, lock);
}

bool Lockspace::is_done_without_master(const OwnedLock& lock, const ConversionRequested& event) const {
    if (!is_lower_or_equal(*lock.granted, event.mode)) return false;
    return !event.flags.has(Flag::value_block) || value_transfer(lock.granted, event.mode) != ValueTransfer::read;
}

// The value block after this step, if the step writes it.
std::optional<Value> Lockspace::written_value(const OwnedLock& lock, std::optional<Mode> to, Flags flags,
                                              const ValueBytes& bytes) const {
    if (!flags.has(Flag::value_block) && !flags.has(Flag::invalidate_value)) return std::nullopt;
    if (!lock.granted || value_transfer(lock.assured(), to) != ValueTransfer::write) return std::nullopt;
    base::ensure(lock.value.has_value(), "a writer that does not know the value's sequence");
    Value written{lock.value->bytes, lock.value->sequence + 1, !flags.has(Flag::invalidate_value)};
    if (flags.has(Flag::value_block)) written.bytes = bytes;
    return written;
}

void Lockspace::lower(LockId id, OwnedLock& lock, const ConversionRequested& event) {
    const auto written = written_value(lock, event.mode, event.flags, event.value);
    const bool changed = written || *lock.granted != event.mode;
    lock.granted = event.mode;
    if (written) {
        lock.value = written;
        unstored_[id] = {master_for_writes(lock), {lock.name, *written}};
    }
    act(Completed{id, event.operation, Outcome::granted, event.mode, false, {}});
    // While stopped, the rebuild will tell it.
    if (changed && masters_are_known()) {
        send(lock.master, Lower{id, lock.name, event.mode, written});
    }
}

void Lockspace::on(const UnlockRequested& event) {
    const auto found = owned_.find(event.lock);
    if (found == owned_.end()) return;
    const auto lock = std::move(found->second);
    owned_.erase(found);
    if (lock.pending) {
        act(Completed{event.lock, lock.pending->operation, Outcome::cancelled, Mode::NL, false, {}});
    }
    const bool known_to_master = lock.granted || (lock.pending && lock.pending->sent);
    if (membership_.terminal() || !known_to_master || lock.master.value == 0) return;
    auto written = written_value(lock, std::nullopt, event.flags, event.value);
    if (written) unstored_[event.lock] = {master_for_writes(lock), {lock.name, *written}};
    if (masters_are_known()) send(lock.master, Unlock{event.lock, lock.name, std::move(written)});
}

// Where a written value is told again, should this generation not be completed.
base::NodeId Lockspace::master_for_writes(const OwnedLock& lock) const {
    return settled_ ? lock.master : lock.confirmed_master;
}

void Lockspace::on(const CancelRequested& event) {
    const auto found = owned_.find(event.lock);
    if (found == owned_.end() || !found->second.pending) return;
    auto& lock = found->second;
    lock.pending->cancelled = true;
    if (!lock.pending->sent) return complete_cancelled(event.lock, lock);
    if (!masters_are_known()) return;  // the rebuild will see to it
    send(lock.master, Cancel{event.lock, lock.pending->operation, lock.name});
}

// What was never granted is gone; what was held stays as it was.
void Lockspace::complete_cancelled(LockId id, OwnedLock& lock) {
    probe_cancelled.hit();
    const auto operation = lock.pending->operation;
    const auto mode = lock.granted.value_or(Mode::NL);
    act(Completed{id, operation, Outcome::cancelled, mode, lock.demoted, {}});
    lock.pending.reset();
    lock.demoted = false;
    if (!lock.granted) owned_.erase(id);
}

// May end the lock's life: nothing of it may be used afterwards.
void Lockspace::dispatch(LockId id, OwnedLock& lock) {
    if (!membership_.may_grant()) return;
    auto& pending = *lock.pending;
    pending.sent = true;
    if (lock.granted) return send(lock.master, Convert{id, pending.operation, lock.name, pending.mode, pending.flags});
    if (mastered_.contains(lock.name)) lock.master = self_;
    if (lock.master.value == 0) lock.master = directory_of(lock.name);
    send(lock.master, Request{id, pending.operation, lock.name, pending.mode, pending.flags});
}

// After a rebuild, or when quorum is back: everything that waits here, in the order in which it was asked for.
void Lockspace::dispatch_all() {
    std::vector<std::pair<OperationId, LockId>> waiting;
    for (const auto& [id, lock] : owned_) {
        if (lock.pending && !lock.pending->sent) waiting.emplace_back(lock.pending->operation, id);
    }
    std::sort(waiting.begin(), waiting.end());
    for (const auto& [operation, id] : waiting) {
        auto* lock = find_pending(id, operation);
        if (lock == nullptr) continue;
        if (lock->pending->cancelled) {
            complete_cancelled(id, *lock);
        } else if (!lock->pending->sent) {
            dispatch(id, *lock);
        }
    }
}

Lockspace::OwnedLock* Lockspace::find_pending(LockId id, OperationId operation) {
    const auto found = owned_.find(id);
    if (found == owned_.end()) return nullptr;
    auto& lock = found->second;
    return lock.pending && lock.pending->operation == operation ? &lock : nullptr;
}

void Lockspace::from_master(base::NodeId from, const Granted& message) {
    auto* lock = find_pending(message.lock, message.operation);
    if (lock == nullptr || lock->master != from) return;
    const bool wants_value = lock->pending->flags.has(Flag::value_block);
    Completed completed{message.lock, message.operation, Outcome::granted, message.mode, message.demoted, {}};
    completed.demoted |= lock->demoted;
    if (wants_value) completed.value = message.value;
    lock->granted = message.mode;
    lock->value = message.value;
    lock->pending.reset();
    lock->demoted = false;
    act(std::move(completed));
}

void Lockspace::from_master(base::NodeId from, const Refused& message) {
    auto* lock = find_pending(message.lock, message.operation);
    if (lock == nullptr || lock->master != from) return;
    Completed completed{message.lock, message.operation, message.outcome, Mode::NL, message.demoted, {}};
    completed.demoted |= lock->demoted;
    if (!lock->granted) {
        owned_.erase(message.lock);
        return act(std::move(completed));
    }
    if (completed.demoted) lock->granted = Mode::NL;
    completed.mode = *lock->granted;
    lock->pending.reset();
    lock->demoted = false;
    act(std::move(completed));
}

void Lockspace::from_master(base::NodeId from, const Blocking& message) {
    const auto found = owned_.find(message.lock);
    if (found == owned_.end() || !found->second.granted || found->second.master != from) return;
    if (!compatible(*found->second.granted, message.wanted)) act(BlockingNotice{message.lock, message.wanted});
}

void Lockspace::from_master(base::NodeId, const ValueStored& message) {
    const auto found = unstored_.find(message.lock);
    if (found != unstored_.end() && found->second.value.value.sequence <= message.sequence) unstored_.erase(found);
}

void Lockspace::from_master(base::NodeId, const Redirect& message) {
    probe_redirected.hit();
    // The directory has noted it, whatever has become of the request.
    if (message.master == self_) master_here(message.name);
    ask_again(message.lock, message.operation, is_master(message.master) ? message.master : base::NodeId{});
}

void Lockspace::from_master(base::NodeId, const NotMaster& message) { ask_again(message.lock, message.operation, {}); }

void Lockspace::ask_again(LockId id, OperationId operation, base::NodeId next) {
    auto* lock = find_pending(id, operation);
    if (lock == nullptr || lock->granted) return;
    if (lock->pending->cancelled) return complete_cancelled(id, *lock);
    lock->master = next;
    dispatch(id, *lock);
}

}  // namespace dlm
