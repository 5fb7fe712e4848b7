// What clients ask: admission, both halves of every request, answers (README: the life of a write, who wins).
#include <algorithm>

#include "base/probe.hh"
#include "blockrep/core/resource_state.hh"

namespace blockrep {
namespace {

base::Probe probe_nobody_has_it("blockrep: a write that no disk holds waits");
base::Probe probe_read_overtaken("blockrep: a read is overtaken by a write");
base::Probe probe_read_at_source("blockrep: a read asks the peer");
base::Probe probe_log_full("blockrep: a write waits for the activity log");

constexpr std::size_t most_unproven = 1024;  // ranges

const Range* range_of(const ClientRequest& request) {
    if (const auto* read = std::get_if<ReadRequested>(&request)) return &read->range;
    if (const auto* write = std::get_if<WriteRequested>(&request)) return &write->range;
    return nullptr;
}

}  // namespace

bool Resource::State::replicating() const {
    return session_up && !negotiating && !link_lost_at && replication >= ReplicationState::Established &&
           replication != ReplicationState::WFBitMapS && replication != ReplicationState::WFBitMapT;
}

// Whether writes are sent to the peer: it has a disk that takes them.
bool Resource::State::peer_stores() const {
    return replicating() && (peer_disk == DiskState::UpToDate || peer_disk == DiskState::Inconsistent);
}

std::string Resource::State::frozen_because() const {
    if (role != Role::Primary) return {};
    if (negotiating) return "connecting: the replicas agree on who has the newer data";
    if (replicating()) {
        const bool data = disk == DiskState::UpToDate || peer_disk == DiskState::UpToDate;
        return data ? "" : "no UpToDate data accessible";
    }
    if (alone) return {};
    if (disk != DiskState::UpToDate) return "the peer is lost and has the only UpToDate data";
    if (fence_requested) return "the peer is lost: waiting until it is fenced";
    return "the link to the peer is down";
}

bool Resource::State::overlaps_own_write(const Range& range) const { return own_ranges.overlap(range); }

bool Resource::State::overlaps_applying(const Range& range) const {
    return std::any_of(applying.begin(), applying.end(),
                       [&](const auto& entry) { return entry.second.range.overlaps(range); });
}

bool Resource::State::overlaps_serving(const Range& range) const {
    return std::any_of(serving.begin(), serving.end(),
                       [&](const auto& entry) { return entry.second.range.overlaps(range); });
}

bool Resource::State::overlaps_chunk(const Range& range, bool reading_only) const {
    return std::any_of(chunks.begin(), chunks.end(), [&](const auto& entry) {
        return entry.second.range.overlaps(range) && !(reading_only && entry.second.sent);
    });
}

// Not on a SyncTarget, not even what has been copied: the source does not have it fenced before it goes on alone, and
// this node may learn that late.
bool Resource::State::can_read_locally() const { return has_disk() && disk == DiskState::UpToDate; }

void Resource::State::request(ClientRequest request) {
    const auto* range = range_of(request);
    const bool behind = range != nullptr && std::any_of(queue.begin(), queue.end(), [&](const auto& waiting) {
                            const auto* other = range_of(waiting);
                            return other != nullptr && other->overlaps(*range);
                        });
    if (!may_start(request)) return;
    if (behind || !try_start(request)) queue.push_back(std::move(request));
}

// Refuses what no waiting would make right.
bool Resource::State::may_start(const ClientRequest& request) {
    const auto refuse = [&](Errc code) {
        if (const auto* read = std::get_if<ReadRequested>(&request)) {
            act(CompleteRead{read->client, base::failure(make_error_code(code))});
        } else if (const auto* write = std::get_if<WriteRequested>(&request)) {
            act(CompleteRequest{write->client, failed(code)});
        } else {
            act(CompleteRequest{std::get<FlushRequested>(request).client, failed(code)});
        }
        return false;
    };
    if (role != Role::Primary) return refuse(Errc::not_primary);
    const auto* range = range_of(request);
    if (range != nullptr && !is_valid_on(*range, geometry.data_size)) return refuse(Errc::out_of_range);
    return true;
}

bool Resource::State::try_start(const ClientRequest& request) {
    if (!frozen_because().empty()) return false;
    if (const auto* read = std::get_if<ReadRequested>(&request)) return try_read(*read);
    if (const auto* write = std::get_if<WriteRequested>(&request)) return try_write(*write);
    return try_flush(std::get<FlushRequested>(request));
}

bool Resource::State::try_read(const ReadRequested& request) {
    if (overlaps_own_write(request.range)) return false;
    if (can_read_locally()) {
        start_local_read(request);
        return true;
    }
    if (!replicating() || peer_disk != DiskState::UpToDate) return false;
    start_remote_read(request);
    return true;
}

void Resource::State::start_local_read(const ReadRequested& request) {
    ++local_reads;
    read_local(request.range, request.into, [this, request](base::Result<Payload> result) {
        --local_reads;
        // A write that began meanwhile may show in what was read, and the peer may still lack it.
        if (result && overlaps_own_write(request.range)) {
            probe_read_overtaken.hit();
            return queue.push_back(request);
        }
        // The replica may have become one that is behind.
        if (result && has_disk() && !can_read_locally()) return queue.push_back(request);
        if (!result) fail_disk("read: " + result.error().message());
        // The peer may have it, or a disk that is attached again; one that failed may show what it was before.
        if (!result || !has_disk()) return queue.push_back(request);
        act(CompleteRead{request.client, std::move(result)});
    });
}

void Resource::State::start_remote_read(const ReadRequested& request) {
    probe_read_at_source.hit();
    const auto id = ticket();
    remote_reads.emplace(id, request);
    send(Read{id, request.range});
}

void Resource::State::on(const ReadDone& message, const Payload& payload) {
    const auto found = remote_reads.find(message.id);
    if (found == remote_reads.end()) return bad_peer("an answer to a read that was not asked");
    const auto request = found->second;
    remote_reads.erase(found);
    if (!message.readable) {
        queue.push_back(request);
        return;
    }
    const Payload data = message.zeroes ? Payload{nullptr, nullptr, request.range.length} : payload;
    if (data.length != request.range.length) {
        queue.push_back(request);
        return bad_peer("an answer to a read with the wrong length");
    }
    act(CompleteRead{request.client, data});
}

// What is looked up first: hundreds may wait, and each is tried again at every event.
bool Resource::State::try_write(const WriteRequested& request) {
    if (overlaps_own_write(request.range)) return false;
    const bool local_disk = has_disk();
    if (local_disk && !log.acquire(request.range)) {
        probe_log_full.hit();
        return false;
    }
    if (overlaps_applying(request.range) || overlaps_chunk(request.range, false) || overlaps_serving(request.range)) {
        if (local_disk) log.release(request.range);
        return false;
    }
    const auto id = ticket();
    note_overwritten(id, request.range);
    own_ranges.insert(request.range);
    auto& write = writes[id];
    write.request = request;
    write.holds_extents = local_disk ? disk_number : 0;
    write.local_pending = local_disk;
    write.stored_local = local_disk;
    if (peer_stores()) {
        send_write(id, write);
    } else {
        write.stored_remote = false;
        bitmap.set(request.range);
    }
    if (local_disk) start_local_part(id, write);
    return true;
}

// Of data that the peer may be using, or will be: until it is fenced or has left.
bool Resource::State::is_only_copy() const {
    if (disk != DiskState::UpToDate) return false;
    return session_up ? peer_disk != DiskState::UpToDate : last_loss == LossReason::unreachable;
}

void Resource::State::start_local_part(RequestId id, OwnWrite& write) {
    const auto& request = write.request;
    write_local(request.range, request.payload, request.stable || is_only_copy(),
                [this, id](base::Result<Payload> result) { own_write_stored(id, std::move(result)); });
}

// Another disk was attached than the one that what is in flight was meant for.
void Resource::State::redo_local_parts() {
    for (auto& [id, write] : writes) {
        const bool nobody_has_it = !write.remote_pending && !write.stored_remote;
        const bool redo = (write.remote_unsent || nobody_has_it) && !write.local_pending;
        if (redo) write.local_pending = write.local_unsent = true;
    }
    std::vector<FlushRequested> again;
    std::erase_if(flushes, [&](const auto& entry) {
        const auto& flush = entry.second;
        if (flush.local_pending || !flush.remote_unsent) return false;
        again.push_back(flush.request);
        return true;
    });
    for (const auto& flush : again) queue.push_back(flush);
}

void Resource::State::try_local_parts() {
    if (!has_disk() || !frozen_because().empty()) return;
    for (auto& [id, write] : writes) {
        if (!write.local_unsent) continue;
        if (write.holds_extents != disk_number && !log.acquire(write.request.range)) continue;
        write.local_unsent = false;
        write.holds_extents = disk_number;
        start_local_part(id, write);
    }
}

void Resource::State::send_write(RequestId id, OwnWrite& write) {
    write.remote_pending = true;
    write.remote_unsent = false;
    write.stored_remote = true;
    // While we have no good copy, the peer's loss of power must not take what was answered: we would go on later.
    const bool stable = write.request.stable || disk != DiskState::UpToDate;
    send(Write{id, write.request.range, write.request.payload.is_zeros(), stable}, write.request.payload);
}

void Resource::State::own_write_stored(RequestId id, base::Result<Payload> result) {
    if (!result) fail_disk("write: " + result.error().message());
    auto& write = writes.at(id);
    write.local_pending = false;
    write.stored_local = result.has_value();
    release_awaiting(id);
    finish_write(id);
}

void Resource::State::on(const WriteDone& message, const Payload&) {
    const auto found = writes.find(message.id);
    if (found == writes.end() || !found->second.remote_pending) {
        return bad_peer("an answer to a write that was not asked");
    }
    auto& write = found->second;
    write.remote_pending = false;
    write.stored_remote = message.stored && peer_disk == DiskState::UpToDate;  // else it may yet be overwritten
    // Our own copy was not meant to be the newest: the source's is.
    if (message.before && replication == ReplicationState::SyncTarget) {
        bitmap.set(write.request.range);
        for (auto& [arrival, entry] : applying) entry.stays_dirty |= entry.covered.contains(message.id);
    }
    if (message.stored) {
        if (!write.request.stable) {
            bitmap.note_unproven(write.request.range, flush_epoch);
            if (!unproven_since) unproven_since = now;
            limit_unproven();
        }
    } else {
        bitmap.set(write.request.range);
        if (peer_disk != DiskState::Diskless) {
            peer_disk = DiskState::Diskless;
            peer_lacks_disk();
        }
        // The only UpToDate disk is gone: what this one has will be overwritten when that one is back.
        write.remote_unsent = has_disk() && disk != DiskState::UpToDate;
    }
    finish_write(message.id);
}

void Resource::State::finish_write(RequestId id) {
    const auto found = writes.find(id);
    if (found == writes.end()) return;
    auto& write = found->second;
    if (write.local_pending || write.remote_pending || write.remote_unsent) return;
    const bool same_disk = disk_open && write.holds_extents == disk_number;
    const bool stored_local = write.stored_local && same_disk;
    if (answer_must_wait(stored_local, write.stored_remote)) return;
    if (!stored_local && !write.stored_remote) return keep_write(write);
    if (same_disk) log.release(write.request.range);
    own_ranges.erase(write.request.range);
    act(CompleteRequest{write.request.client, {}});
    writes.erase(found);
}

// Neither disk has it for sure, and yet somebody may have read it: it waits, and is written to both again. Ours is gone
// then: what it lacked when it was attached was written to it (redo_local_parts), what came later too, or it had
// failed.
void Resource::State::keep_write(OwnWrite& write) {
    probe_nobody_has_it.hit();
    base::ensure(!has_disk(), "a write that the standing disk lacks");
    write.remote_unsent = true;
}

// Invariant 1, when one of the two replicas has lost its disk: that must be recorded on the other's first.
bool Resource::State::answer_must_wait(bool stored_local, bool stored_remote) const {
    if (stored_local && !stored_remote) return recording_loss != 0;
    return stored_remote && !stored_local && loss_unconfirmed;
}

bool Resource::State::try_flush(const FlushRequested& request) {
    const auto id = ticket();
    auto& flush = flushes[id];
    flush.request = request;
    flush.local_pending = has_disk();
    flush.stored_local = has_disk();
    flush.on_disk = disk_number;
    if (peer_stores()) {
        send_own_flush(id);
    } else {
        flush.stored_remote = false;
    }
    if (flush.local_pending) {
        flush_local([this, id](base::Result<Payload> result) {
            if (!result) fail_disk("flush: " + result.error().message());
            auto& flushed = flushes.at(id);
            flushed.local_pending = false;
            flushed.stored_local = result.has_value();
            finish_flush(id);
        });
    }
    return true;
}

void Resource::State::send_own_flush(RequestId id) {
    auto& flush = flushes.at(id);
    flush.remote_pending = true;
    flush.remote_unsent = false;
    flush.stored_remote = true;
    flush_peer([this, id](bool stored) {
        auto& reply = flushes.at(id);
        reply.remote_pending = false;
        reply.stored_remote = stored && peer_disk == DiskState::UpToDate;
        reply.remote_unsent = !stored && has_disk() && disk != DiskState::UpToDate;
        finish_flush(id);
    });
}

void Resource::State::finish_flush(RequestId id) {
    const auto found = flushes.find(id);
    if (found == flushes.end()) return;
    const auto& flush = found->second;
    if (flush.local_pending || flush.remote_pending || flush.remote_unsent) return;
    const bool stored_local = flush.stored_local && disk_open && flush.on_disk == disk_number;
    if (answer_must_wait(stored_local, flush.stored_remote)) return;
    if (stored_local || flush.stored_remote) {
        act(CompleteRequest{flush.request.client, {}});
    } else {
        queue.push_back(flush.request);
    }
    flushes.erase(found);
}

// Each of them costs memory, and bits when the peer is lost.
void Resource::State::limit_unproven() {
    if (bitmap.unproven() > most_unproven && peer_flushes.empty()) flush_peer({});
}

void Resource::State::flush_peer(std::function<void(bool)> done) {
    const auto id = ticket();
    peer_flushes.emplace(id, PeerFlush{flush_epoch++, std::move(done)});
    unproven_since.reset();
    send(Flush{id});
}

void Resource::State::on(const FlushDone& message, const Payload&) {
    const auto found = peer_flushes.find(message.id);
    if (found == peer_flushes.end()) return bad_peer("an answer to a flush that was not asked");
    const auto flush = std::move(found->second);
    peer_flushes.erase(found);
    if (message.stored) bitmap.prove(flush.epoch);
    if (flush.done) flush.done(message.stored);
}

// A new session with the peer stands: what was kept goes out again.
void Resource::State::resend_in_flight() {
    for (auto& [id, write] : writes) {
        if (!write.remote_unsent) continue;
        if (peer_stores()) {
            send_write(id, write);
            // Once more here, too: in the last session something of the peer's may have been stored over it.
            if (has_disk() && !write.local_pending) write.local_pending = write.local_unsent = true;
        } else if (alone || (replicating() && disk == DiskState::UpToDate)) {
            write.remote_unsent = false;
            write.stored_remote = false;
            bitmap.set(write.request.range);
        }
    }
    for (auto& [id, flush] : flushes) {
        if (!flush.remote_unsent) continue;
        if (peer_stores()) {
            send_own_flush(id);
        } else if (alone || (replicating() && disk == DiskState::UpToDate)) {
            flush.remote_unsent = false;
            flush.stored_remote = false;
        }
    }
    if (has_disk()) loss_unconfirmed = false;  // it takes part again
    confirm_loss();
    finish_all();
}

void Resource::State::finish_all() {
    std::vector<RequestId> ids;
    for (const auto& entry : writes) ids.push_back(entry.first);
    for (const auto id : ids) finish_write(id);
    ids.clear();
    for (const auto& entry : flushes) ids.push_back(entry.first);
    for (const auto id : ids) finish_flush(id);
}

}  // namespace blockrep
