#include "fencing/core/history.hh"

#include <algorithm>

namespace fencing {

bool History::add(HistoryEntry entry) {
    const auto same = [&](const HistoryEntry& other) { return other.same_event(entry); };
    if (std::ranges::any_of(entries_, same)) return false;
    const auto at = std::ranges::upper_bound(entries_, entry.finished, {}, &HistoryEntry::finished);
    if (at == entries_.begin() && entries_.size() >= limit) return false;
    entries_.insert(at, std::move(entry));
    if (entries_.size() > limit) entries_.pop_front();
    return true;
}

std::vector<HistoryBatch> History::batches() const {
    constexpr std::size_t room = max_message_bytes / 2;
    std::vector<HistoryBatch> out;
    std::size_t used = room;
    for (const auto& entry : entries_) {
        const auto size = encoded_size(entry);
        if (used + size > room) {
            out.emplace_back();
            used = 0;
        }
        out.back().entries.push_back(entry);
        used += size;
    }
    return out;
}

const char* text_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::fenced:
            return "fenced";
        case Outcome::failed:
            return "failed";
        case Outcome::confirmed:
            return "confirmed";
    }
    return "?";
}

void describe(const HistoryEntry& entry, base::JsonWriter& out) {
    out.begin_object();
    out.member("victim", entry.victim.value).member("executor", entry.executor.value);
    out.member("finished_ns", entry.finished.nanoseconds);
    out.member("seen_ns", entry.seen.nanoseconds).member("requested_ns", entry.requested.nanoseconds);
    out.member("started_ns", entry.started.nanoseconds);
    out.member("outcome", text_of(entry.outcome)).member("attempt", entry.attempt);
    out.key("dead").begin_array();
    for (const auto& life : entry.dead) out.value(life.text());
    out.end_array();
    out.member("asker", entry.asker).member("reason", entry.reason).member("detail", entry.detail);
    out.end_object();
}

}  // namespace fencing
