// What the peer asks of our disk, and how its writes meet ours (README, "Who wins when writes overlap").
#include <algorithm>

#include "base/probe.hh"
#include "blockrep/core/resource_state.hh"

namespace blockrep {
namespace {

base::Probe probe_writes_crossed("blockrep: writes of both sides cross");
base::Probe probe_repeated_write("blockrep: a repeated write was overwritten meanwhile");
base::Probe probe_flush_for_stable("blockrep: a trimmed stable write needs a flush");

// What is left of `range` without `holes`, in order.
std::vector<Range> without(const Range& range, const std::map<RequestId, Range>& covered) {
    std::vector<Range> holes;
    for (const auto& [id, hole] : covered) holes.push_back(hole);
    std::sort(holes.begin(), holes.end());
    std::vector<Range> rest;
    auto at = range.offset;
    for (const auto& hole : holes) {
        if (hole.end() <= at || hole.offset >= range.end()) continue;
        if (hole.offset > at) rest.push_back({at, hole.offset - at});
        at = std::max(at, hole.end());
    }
    if (at < range.end()) rest.push_back({at, range.end() - at});
    return rest;
}

}  // namespace

void Resource::State::on(const Write& message, const Payload& payload) {
    if (!is_valid_on(message.range, geometry.data_size)) return bad_peer("a write outside the device");
    if (!has_disk()) return send(WriteDone{message.id, false, false});
    Applying entry;
    entry.kind = Applying::Kind::write;
    entry.id = message.id;
    entry.range = message.range;
    entry.payload = message.zeroes ? Payload{nullptr, nullptr, message.range.length} : payload;
    entry.stable = message.stable;
    apply(std::move(entry));
}

void Resource::State::on(const ResyncBlocks& message, const Payload& payload) {
    if (!is_valid_on(message.range, geometry.data_size)) return bad_peer("a resync outside the device");
    if (!has_disk()) return send(ResyncDone{message.id, false});
    if (replication != ReplicationState::SyncTarget) return bad_peer("resync data without a resync");
    Applying entry;
    entry.kind = Applying::Kind::resync;
    entry.id = message.id;
    entry.range = message.range;
    entry.payload = message.zeroes ? Payload{nullptr, nullptr, message.range.length} : payload;
    apply(std::move(entry));
}

void Resource::State::on(const Flush& message, const Payload&) {
    if (!has_disk()) return send(FlushDone{message.id, false});
    flush_local([this, id = message.id, in = session_number](base::Result<Payload> result) {
        if (!result) fail_disk("flush: " + result.error().message());
        answer_flush(id, in, result.has_value() && has_disk());
    });
}

void Resource::State::answer_flush(RequestId id, std::uint64_t in, bool stored) {
    if (in != session_number || !session_up) return;
    if (stored && recording_loss != 0) {
        held_flushes[id] = in;
    } else {
        send(FlushDone{id, stored});
    }
}

// A peer without a disk was recorded as behind, or our own disk is gone too: what waited for that is answered.
void Resource::State::answer_held() {
    std::map<RequestId, std::uint64_t> held;
    held.swap(held_flushes);
    for (const auto& [id, in] : held) answer_flush(id, in, has_disk());
    std::vector<std::uint64_t> arrivals;
    for (const auto& entry : applying) arrivals.push_back(entry.first);
    for (const auto arrival : arrivals) {
        if (applying.contains(arrival)) check_applied(arrival);
    }
    finish_all();
}

void Resource::State::on(const Read& message, const Payload&) {
    if (!is_valid_on(message.range, geometry.data_size)) return bad_peer("a read outside the device");
    const auto arrival = next_arrival++;
    serving.emplace(arrival, Serving{message.id, message.range, session_number});
    try_serve(arrival);
}

void Resource::State::try_serve(std::uint64_t arrival) {
    auto& entry = serving.at(arrival);
    if (entry.started) return;
    if (entry.session != session_number) {
        serving.erase(arrival);
        return;
    }
    if (disk != DiskState::UpToDate) return served(arrival, base::failure(make_error_code(Errc::no_up_to_date_data)));
    if (overlaps_own_write(entry.range)) return;
    entry.started = true;
    read_local(entry.range, {}, [this, arrival](base::Result<Payload> result) {
        if (!result) fail_disk("read: " + result.error().message());
        if (!has_disk()) result = base::failure(make_error_code(Errc::no_up_to_date_data));
        served(arrival, std::move(result));
    });
}

void Resource::State::served(std::uint64_t arrival, base::Result<Payload> result) {
    const auto entry = serving.at(arrival);
    serving.erase(arrival);
    if (entry.session != session_number || !session_up) return;
    if (!result) return send(ReadDone{entry.id, false, false});
    const bool zeroes = result->is_zeros();
    send(ReadDone{entry.id, true, zeroes}, zeroes ? Payload{} : *result);
}

void Resource::State::try_waiting_of_peer() {
    std::vector<std::uint64_t> arrivals;
    for (const auto& [arrival, entry] : serving) {
        if (!entry.started) arrivals.push_back(arrival);
    }
    for (const auto arrival : arrivals) try_serve(arrival);
    arrivals.clear();
    for (const auto& [arrival, entry] : applying) {
        if (!entry.started) arrivals.push_back(arrival);
    }
    for (const auto arrival : arrivals) {
        if (applying.contains(arrival)) try_apply(arrival);
    }
}

void Resource::State::apply(Applying entry) {
    entry.session = session_number;
    note_crossing(entry);
    recall(entry);
    const auto arrival = next_arrival++;
    applying.emplace(arrival, std::move(entry));
    try_apply(arrival);
}

// True when it has been started.
bool Resource::State::try_apply(std::uint64_t arrival) {
    auto& entry = applying.at(arrival);
    if (entry.started) return true;
    if (entry.session != session_number) {  // its sender is lost, and it never touched our disk
        applying.erase(arrival);
        return true;
    }
    if (!has_disk()) {
        entry.stored = false;
        answer_applied(arrival);
        return true;
    }
    if (must_wait(arrival, entry)) return false;
    // A peer without a disk writes through us: what it will lack is covered by our log, like our own writes.
    if (entry.kind == Applying::Kind::write && peer_disk == DiskState::Diskless) {
        if (!log.acquire(entry.range)) return false;
        entry.holds_extents = disk_number;
        bitmap.set(entry.range);
    }
    // The source itself may not have it on its disk yet: copied again if the session ends before.
    if (entry.kind == Applying::Kind::write && replication == ReplicationState::SyncTarget) bitmap.set(entry.range);
    entry.started = true;
    write_parts(arrival, entry);
    check_applied(arrival);
    return true;
}

bool Resource::State::must_wait(std::uint64_t arrival, const Applying& entry) const {
    for (const auto& [other_arrival, other] : applying) {
        if (other_arrival >= arrival) break;
        if (other.range.overlaps(entry.range)) return true;
    }
    const bool is_write = entry.kind == Applying::Kind::write;
    if (is_write && overlaps_chunk(entry.range, true)) return true;  // old data must leave before this is answered
    return overlaps_own_write(entry.range) && std::any_of(writes.begin(), writes.end(), [&](const auto& own) {
               return own.second.local_pending && !entry.covered.contains(own.first) &&
                      own.second.request.range.overlaps(entry.range);
           });
}

// Decided when it arrives. An own write that the peer has not answered crosses it: neither saw the other's. Resync data
// is older than any write; a write of the other node yields to those of the orderer. What the peer has answered came
// first, and is only waited for.
void Resource::State::note_crossing(Applying& entry) {
    if (!orderer && entry.kind == Applying::Kind::write) return;
    if (!overlaps_own_write(entry.range)) return;
    for (const auto& [id, own] : writes) {
        if (!own.remote_pending || !own.request.range.overlaps(entry.range)) continue;
        entry.covered.emplace(id, own.request.range);
        probe_writes_crossed.hit();
        if (own.local_pending) entry.awaits.insert(id);
    }
    entry.trimmed = !entry.covered.empty();
}

void Resource::State::write_parts(std::uint64_t arrival, Applying& entry) {
    for (const auto& part : without(entry.range, entry.covered)) {
        ++entry.parts;
        const auto data = entry.payload.slice(part.offset - entry.range.offset, part.length);
        write_local(part, data, entry.stable, [this, arrival](base::Result<Payload> result) {
            if (!result) fail_disk("write for the peer: " + result.error().message());
            applied_part(arrival, result.has_value());
        });
    }
}

void Resource::State::applied_part(std::uint64_t arrival, bool stored) {
    auto& entry = applying.at(arrival);
    --entry.parts;
    entry.stored = entry.stored && stored && has_disk();
    check_applied(arrival);
}

void Resource::State::release_awaiting(RequestId own_write) {
    std::vector<std::uint64_t> ready;
    for (auto& [arrival, entry] : applying) {
        if (entry.awaits.erase(own_write) != 0) ready.push_back(arrival);
    }
    for (const auto arrival : ready) check_applied(arrival);
}

void Resource::State::check_applied(std::uint64_t arrival) {
    auto& entry = applying.at(arrival);
    if (!entry.started || entry.parts != 0 || !entry.awaits.empty() || entry.flushing) return;
    // What covers it may be in a volatile cache, while its sender was promised stable media.
    if (entry.stable && entry.trimmed && entry.stored && has_disk()) {
        entry.flushing = true;
        probe_flush_for_stable.hit();
        entry.trimmed = false;
        return flush_local([this, arrival](base::Result<Payload> result) {
            if (!result) fail_disk("flush: " + result.error().message());
            auto& flushed = applying.at(arrival);
            flushed.flushing = false;
            flushed.stored = result.has_value() && has_disk();
            check_applied(arrival);
        });
    }
    if (!has_disk()) entry.stored = false;
    if (entry.stored && recording_loss != 0) return;
    answer_applied(arrival);
}

// It was sent before and may have been stored then: it counts as older than what was written over it here since.
void Resource::State::recall(Applying& entry) {
    if (entry.kind != Applying::Kind::write) return;
    const auto earlier = remembered.find(entry.id);
    if (earlier == remembered.end() || earlier->second.range != entry.range) return;
    for (const auto& [id, range] : earlier->second.overwritten) {
        entry.covered.emplace(id, range);
        const auto own = writes.find(id);
        if (own != writes.end() && own->second.local_pending) entry.awaits.insert(id);
        entry.overwritten = entry.trimmed = true;
        probe_repeated_write.hit();
    }
}

void Resource::State::note_overwritten(RequestId own_write, const Range& range) {
    for (auto& [id, earlier] : remembered) {
        if (earlier.range.overlaps(range)) earlier.overwritten.emplace(own_write, range);
    }
}

// The peer's copy is not what ours is: also where a chunk is on its way that it takes for older than its write.
void Resource::State::copy_again(const Range& range) {
    bitmap.set(range);
    for (auto& [id, chunk] : chunks) {
        if (chunk.range.overlaps(range)) chunk.outdated = true;
    }
}

void Resource::State::answer_write(const Applying& entry) {
    if (entry.overwritten) copy_again(entry.range);
    send(WriteDone{entry.id, entry.stored, entry.stored && entry.overwritten});
    forget_acknowledged();
    if (entry.stored) answered.push_back({session.last_sent(), entry.id});
}

void Resource::State::forget_acknowledged() {
    for (; !answered.empty() && answered.front().sequence <= session.acknowledged(); answered.pop_front()) {
        remembered.erase(answered.front().id);
    }
}

void Resource::State::answer_applied(std::uint64_t arrival) {
    const auto entry = std::move(applying.at(arrival));
    applying.erase(arrival);
    if (disk_open && entry.holds_extents == disk_number) log.release(entry.range);
    const bool answer = entry.session == session_number && session_up;
    if (entry.kind == Applying::Kind::write) {
        if (entry.started) remembered[entry.id] = {entry.range, entry.covered};
        if (answer) answer_write(entry);
        return;
    }
    if (answer && entry.stored && !entry.stays_dirty) bitmap.clear(entry.range);
    if (answer) send(ResyncDone{entry.id, entry.stored});
}

}  // namespace blockrep
