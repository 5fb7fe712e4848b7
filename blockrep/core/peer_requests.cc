// What the peer asks of our disk, and how its writes meet ours (README, "Who wins when writes overlap").
#include <algorithm>

#include "blockrep/core/resource_state.hh"

namespace blockrep {
namespace {

// What is left of `range` without `holes`, in order.
std::vector<Range> without(const Range& range, std::vector<Range> holes) {
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
    if (!has_disk()) return send(WriteDone{message.id, false});
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
        if (in == session_number && session_up) send(FlushDone{id, result.has_value()});
    });
}

void Resource::State::on(const Read& message, const Payload&) {
    if (!is_valid_on(message.range, geometry.data_size)) return bad_peer("a read outside the device");
    if (disk != DiskState::UpToDate) return send(ReadDone{message.id, false, false});
    read_local(message.range, {}, [this, id = message.id, in = session_number](base::Result<Payload> result) {
        if (!result) fail_disk("read: " + result.error().message());
        if (in != session_number || !session_up) return;
        if (!result) return send(ReadDone{id, false, false});
        const bool zeroes = result->is_zeros();
        send(ReadDone{id, true, zeroes}, zeroes ? Payload{} : *result);
    });
}

void Resource::State::apply(Applying entry) {
    entry.session = session_number;
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
    if (must_wait(arrival, entry)) return false;
    // A peer without a disk writes through us: what it will lack is covered by our log, like our own writes.
    if (entry.kind == Applying::Kind::write && peer_disk == DiskState::Diskless) {
        if (!log.acquire(entry.range)) return false;
        entry.holds_extents = disk_number;
        bitmap.set(entry.range);
    }
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
    if (entry.kind == Applying::Kind::resync) return false;
    if (overlaps_chunk(entry.range, true)) return true;  // its old data must leave before this write is answered
    if (orderer) return false;
    return std::any_of(writes.begin(), writes.end(), [&](const auto& own) {
        return own.second.local_pending && own.second.request.range.overlaps(entry.range);
    });
}

void Resource::State::write_parts(std::uint64_t arrival, Applying& entry) {
    std::vector<Range> ours;
    // Resync data is older than any write; a write of the other node yields to those of the orderer.
    if (orderer || entry.kind == Applying::Kind::resync) {
        for (const auto& [id, own] : writes) {
            if (!own.request.range.overlaps(entry.range)) continue;
            ours.push_back(own.request.range);
            if (own.local_pending) entry.awaits.insert(id);
            entry.trimmed = true;
        }
    }
    for (const auto& part : without(entry.range, std::move(ours))) {
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
    entry.stored = entry.stored && stored;
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
    if (entry.parts != 0 || !entry.awaits.empty() || entry.flushing) return;
    // What covers it may be in a volatile cache, while its sender was promised stable media.
    if (entry.stable && entry.trimmed && entry.stored && has_disk()) {
        entry.flushing = true;
        entry.trimmed = false;
        return flush_local([this, arrival](base::Result<Payload> result) {
            auto& flushed = applying.at(arrival);
            flushed.flushing = false;
            flushed.stored = result.has_value();
            if (!result) fail_disk("flush: " + result.error().message());
            check_applied(arrival);
        });
    }
    answer_applied(arrival);
}

void Resource::State::answer_applied(std::uint64_t arrival) {
    const auto entry = std::move(applying.at(arrival));
    applying.erase(arrival);
    if (disk_open && entry.holds_extents == disk_number) log.release(entry.range);
    const bool answer = entry.session == session_number && session_up;
    if (entry.kind == Applying::Kind::write) {
        if (answer) send(WriteDone{entry.id, entry.stored});
        return;
    }
    if (answer && entry.stored) bitmap.clear(entry.range);
    if (answer) send(ResyncDone{entry.id, entry.stored});
}

}  // namespace blockrep
