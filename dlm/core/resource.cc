#include "dlm/core/resource.hh"

#include <algorithm>

#include "base/ensure.hh"

namespace dlm {
namespace {

auto owned_by(const LockOwner& owner) {
    return [&owner](const Resource::Entry& entry) { return entry.owner == owner; };
}

std::optional<Resource::Entry> take(Resource::Queue& queue, const LockOwner& owner) {
    const auto found = std::find_if(queue.begin(), queue.end(), owned_by(owner));
    if (found == queue.end()) return std::nullopt;
    auto entry = std::move(*found);
    queue.erase(found);
    return entry;
}

}  // namespace

void Resource::request(base::NodeId from, const Request& message, base::Instant now, MasterNotices& notices) {
    Entry entry{{from, message.lock}, message.operation, {}, message.mode, message.flags, false, {}, now};
    if (choose_mode(entry, true)) return grant(std::move(entry), notices);
    if (message.flags.has(Flag::no_queue)) return refuse_to_queue(entry, notices);
    enqueue(waiting_, std::move(entry));
    serve(notices);
}

void Resource::convert(base::NodeId from, const Convert& message, base::Instant now, MasterNotices& notices) {
    const LockOwner owner{from, message.lock};
    auto taken = take(granted_, owner);
    // An owner sends one thing at a time, and only for locks that it was told it has.
    if (!taken) {
        notices.push_back({from, Refused{message.lock, message.operation, Outcome::invalid, false}});
        return;
    }
    Entry entry{owner, message.operation, taken->granted, message.mode, message.flags, false, {}, now};
    if (choose_mode(entry, true)) {
        grant(std::move(entry), notices);
        return serve(notices);
    }
    if (message.flags.has(Flag::no_queue)) {
        refuse_to_queue(entry, notices);
        return back_to_granted(std::move(entry));
    }
    if (deadlocks(entry)) {
        if (!message.flags.has(Flag::demote_on_deadlock)) {
            refuse(entry, Outcome::deadlock, notices);
            return back_to_granted(std::move(entry));
        }
        entry.granted = Mode::NL;
        entry.demoted = true;
    }
    if (waits_for_whom_it_overtakes(entry)) {
        converting_.push_back(std::move(entry));
    } else {
        enqueue(converting_, std::move(entry));
    }
    serve(notices);
}

void Resource::lower(base::NodeId from, const Lower& message, MasterNotices& notices) {
    const auto found = std::find_if(granted_.begin(), granted_.end(), owned_by({from, message.lock}));
    if (found == granted_.end() || !is_lower_or_equal(*found->granted, message.mode)) return;
    if (message.written) {
        store(*message.written);
        notices.push_back({from, ValueStored{message.lock, message.written->sequence}});
    }
    found->granted = found->requested = message.mode;
    found->notified.reset();
    serve(notices);
}

void Resource::unlock(base::NodeId from, const Unlock& message, MasterNotices& notices) {
    const LockOwner owner{from, message.lock};
    if (message.written) {
        store(*message.written);
        notices.push_back({from, ValueStored{message.lock, message.written->sequence}});
    }
    if (take(granted_, owner) || take(converting_, owner) || take(waiting_, owner)) serve(notices);
    // The value block lives as long as somebody has a lock; the sequence goes on, for the sake of late copies.
    if (unused()) value_ = Value{{}, value_.sequence, true};
}

void Resource::cancel(base::NodeId from, const Cancel& message, MasterNotices& notices) {
    const LockOwner owner{from, message.lock};
    const auto same = [&](const Entry& entry) { return entry.owner == owner && entry.operation == message.operation; };
    if (std::any_of(converting_.begin(), converting_.end(), same)) {
        auto entry = take(converting_, owner);
        refuse(*entry, Outcome::cancelled, notices);
        back_to_granted(std::move(*entry));
    } else if (std::any_of(waiting_.begin(), waiting_.end(), same)) {
        refuse(*take(waiting_, owner), Outcome::cancelled, notices);
    }
    serve(notices);
}

void Resource::forget_locks() {
    granted_.clear();
    converting_.clear();
    waiting_.clear();
}

void Resource::adopt(base::NodeId from, const HeldLock& held) {
    granted_.push_back({{from, held.lock}, 0, held.mode, held.mode, {}, false, {}, {}});
}

void Resource::store(const Value& written) {
    if (written.sequence >= value_.sequence) value_ = written;
}

void Resource::withhold(const base::NodeIncarnation& life) {
    const auto at = std::lower_bound(withheld_for_.begin(), withheld_for_.end(), life);
    if (at == withheld_for_.end() || *at != life) withheld_for_.insert(at, life);
}

// Compatible with what everybody else has been granted.
bool Resource::fits(const Entry& entry, Mode mode) const {
    const auto meets = [&](const Entry& other) {
        return other.owner == entry.owner || compatible(*other.granted, mode);
    };
    return std::all_of(granted_.begin(), granted_.end(), meets) &&
           std::all_of(converting_.begin(), converting_.end(), meets);
}

bool Resource::may_be_granted_at_once(const Entry& entry, Mode mode) const {
    if (!entry.granted && entry.flags.has(Flag::expedite)) return true;
    if (!fits(entry, mode)) return false;
    if (entry.granted) return !entry.flags.has(Flag::queue_conversion) || converting_.empty();
    return entry.flags.has(Flag::no_order) || (converting_.empty() && waiting_.empty());
}

bool Resource::may_be_granted_from_queue(const Entry& entry, Mode mode) const {
    if (!fits(entry, mode)) return false;
    if (entry.flags.has(Flag::no_order)) return true;
    if (entry.granted) return converting_.front().owner == entry.owner;
    return converting_.empty() && waiting_.front().owner == entry.owner;
}

// Decides whether the entry can be granted, and as what; sets entry.requested.
bool Resource::choose_mode(Entry& entry, bool at_once) const {
    // What a dead node may have changed is seen by those who repair it, and by nobody else. NL sees nothing.
    if (!withheld_for_.empty() && entry.requested != Mode::NL) {
        return entry.flags.has(Flag::recovery) && fits(entry, entry.requested);
    }
    const auto may = [&](Mode mode) {
        return at_once ? may_be_granted_at_once(entry, mode) : may_be_granted_from_queue(entry, mode);
    };
    if (may(entry.requested)) return true;
    std::optional<Mode> alternate;
    if (entry.requested != Mode::PR && entry.flags.has(Flag::alternate_pr)) alternate = Mode::PR;
    if (entry.requested != Mode::CW && entry.flags.has(Flag::alternate_cw)) alternate = Mode::CW;
    if (!alternate || !may(*alternate)) return false;
    entry.requested = *alternate;
    return true;
}

// Queued behind the others it could never be granted: somebody ahead of it waits for what it holds.
bool Resource::deadlocks(const Entry& conversion) const {
    return std::any_of(converting_.begin(), converting_.end(), [&](const Entry& ahead) {
        return ahead.owner != conversion.owner && !compatible(*conversion.granted, ahead.requested);
    });
}

// At the head of the queue it would wait for what they hold, and they for their turn: for ever.
bool Resource::waits_for_whom_it_overtakes(const Entry& conversion) const {
    return std::any_of(converting_.begin(), converting_.end(),
                       [&](const Entry& behind) { return !compatible(*behind.granted, conversion.requested); });
}

void Resource::grant(Entry entry, MasterNotices& notices) {
    Granted answer{entry.owner.lock, entry.operation, entry.requested, entry.demoted, {}};
    const bool writer = entry.requested == Mode::PW || entry.requested == Mode::EX;
    if (writer || entry.flags.has(Flag::value_block)) answer.value = value_;
    entry.granted = entry.requested;
    entry.notified.reset();
    notices.push_back({entry.owner.node, std::move(answer)});
    granted_.push_back(std::move(entry));
}

void Resource::enqueue(Queue& queue, Entry entry) {
    if (entry.flags.has(Flag::head_of_queue)) {
        queue.insert(queue.begin(), std::move(entry));
    } else {
        queue.push_back(std::move(entry));
    }
}

bool Resource::serve_queue(Queue& queue, MasterNotices& notices) {
    for (std::size_t i = 0; i < queue.size(); ++i) {
        if (!choose_mode(queue[i], false)) continue;
        auto entry = std::move(queue[i]);
        queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(i));
        grant(std::move(entry), notices);
        return true;
    }
    return false;
}

void Resource::serve(MasterNotices& notices) {
    while (serve_queue(converting_, notices) || serve_queue(waiting_, notices)) {
    }
    for (const auto& entry : converting_) notify_holders(entry, notices);
    for (const auto& entry : waiting_) notify_holders(entry, notices);
}

void Resource::notify_holders(const Entry& blocked, MasterNotices& notices) {
    const auto notify = [&](Entry& holder) {
        if (holder.owner == blocked.owner || compatible(*holder.granted, blocked.requested)) return;
        if (holder.notified && *holder.notified >= blocked.requested) return;
        holder.notified = blocked.requested;
        notices.push_back({holder.owner.node, Blocking{holder.owner.lock, blocked.requested}});
    };
    for (auto& holder : granted_) notify(holder);
    for (auto& holder : converting_) notify(holder);
}

void Resource::refuse(const Entry& entry, Outcome outcome, MasterNotices& notices) const {
    notices.push_back({entry.owner.node, Refused{entry.owner.lock, entry.operation, outcome, entry.demoted}});
}

void Resource::refuse_to_queue(const Entry& entry, MasterNotices& notices) {
    if (entry.flags.has(Flag::no_queue_notify)) notify_holders(entry, notices);
    refuse(entry, Outcome::would_block, notices);
}

// A conversion that did not happen.
void Resource::back_to_granted(Entry entry) {
    entry.requested = *entry.granted;
    entry.demoted = false;
    granted_.push_back(std::move(entry));
}

void Resource::check_invariants() const {
    std::vector<const Entry*> holders;
    for (const auto* queue : {&granted_, &converting_}) {
        for (const auto& entry : *queue) {
            base::ensure(entry.granted.has_value(), "a holder without a mode");
            holders.push_back(&entry);
        }
    }
    for (std::size_t i = 0; i < holders.size(); ++i) {
        for (std::size_t j = i + 1; j < holders.size(); ++j) {
            base::ensure(compatible(*holders[i]->granted, *holders[j]->granted), "incompatible modes granted");
            base::ensure(holders[i]->owner != holders[j]->owner, "a lock is there twice");
        }
    }
    for (const auto& entry : waiting_) base::ensure(!entry.granted, "a waiter that was granted");
}

namespace {

void describe_queue(base::JsonWriter& json, std::string_view key, const Resource::Queue& queue, base::Instant now) {
    json.key(key).begin_array();
    for (const auto& entry : queue) {
        json.begin_object().member("node", entry.owner.node.value).member("lock", entry.owner.lock);
        if (entry.granted) json.member("granted", text_of(*entry.granted));
        if (!entry.granted || *entry.granted != entry.requested) {
            json.member("requested", text_of(entry.requested));
            json.member("waiting_ms", (now - entry.since).to_milliseconds());
        }
        json.end_object();
    }
    json.end_array();
}

}  // namespace

void Resource::describe(base::JsonWriter& json, base::Instant now) const {
    describe_queue(json, "granted", granted_, now);
    describe_queue(json, "converting", converting_, now);
    describe_queue(json, "waiting", waiting_, now);
    json.key("value").begin_object().member("sequence", value_.sequence).member("valid", value_.valid).end_object();
    json.key("withheld_for").begin_array();
    for (const auto& life : withheld_for_) json.value(life.node.value);
    json.end_array();
}

}  // namespace dlm
