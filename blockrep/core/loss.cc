// The peer is gone: freeze, find out what it can know, go on (README, "When the peer is lost").
#include "base/probe.hh"
#include "blockrep/core/resource_state.hh"

namespace blockrep {
namespace {

base::Probe probe_peer_is_fenced("blockrep: the peer is fenced");
base::Probe probe_alone_now("blockrep: goes on alone");

}  // namespace

// The link has been down for longer than a passing fault. (Asked again and again: role and disk may change meanwhile.)
void Resource::State::check_grace() {
    if (!link_lost_at || now < *link_lost_at + settings.reconnect_grace) return;
    grace_over = true;
    if (fence_requested) return;
    const bool dangerous = peer_disk == DiskState::UpToDate;
    if (role != Role::Primary) return;        // nothing of ours is at stake: promotion will ask
    if (disk != DiskState::UpToDate) return;  // it has what we lack: nothing but waiting helps
    if (!dangerous || !settings.fencing) return give_up_unreachable();
    fence_requested = true;
    act(RequestFence{{settings.peer, peer_incarnation}, "replication link of " + settings.name + " lost"});
}

void Resource::State::give_up_unreachable() {
    const bool closed = session_poisoned;
    lose_peer(LossReason::unreachable);
    reset_session();
    if (closed) open_link();
}

void Resource::State::peer_fenced(const base::NodeIncarnation& dead) {
    if (dead.node != settings.peer || dead.incarnation != peer_incarnation || peer_incarnation.is_nil()) return;
    fence_requested = false;
    if (!session_up) return;
    report("the peer is fenced");
    probe_peer_is_fenced.hit();
    close_link("the peer is fenced");
    lose_peer(LossReason::fenced);
    reset_session();
    if (connection != ConnectionState::StandAlone) open_link();
}

// Everything that counted on this session's peer is settled; the caller sees to the session itself.
void Resource::State::lose_peer(LossReason reason) {
    const bool was_agreed = replication != ReplicationState::Off || agreed_sent;
    link_lost_at.reset();
    grace_over = false;
    if (fence_requested) {
        fence_requested = false;
        act(WithdrawFence{{settings.peer, peer_incarnation}});
    }
    session_up = false;
    negotiating = false;
    replication = ReplicationState::Off;
    last_loss = reason;
    bitmap_received = sync_starting = sync_finishing = sync_finish_sent = false;
    agreed_sent = agreed_received = false;
    own_report.reset();
    peer_role = Role::Unknown;
    peer_disk = reason == LossReason::fenced || reason == LossReason::left ? DiskState::Outdated : DiskState::DUnknown;
    if (connection == ConnectionState::Connected) connection = ConnectionState::Connecting;
    const bool died = reason == LossReason::fenced || reason == LossReason::new_process;
    peer_behind = peer_behind || died || reason == LossReason::left;
    chunks.clear();
    bitmap.mark_unproven();
    unproven_since.reset();
    std::map<RequestId, ReadRequested> reads;
    reads.swap(remote_reads);
    for (auto& [id, read] : reads) queue.push_front(read);
    peer_flushes.clear();
    held_flushes.clear();
    for (auto& pending : promotes) pending.asked = false;
    std::vector<std::uint64_t> waiting;
    for (const auto& [arrival, entry] : applying) {
        if (!entry.started) waiting.push_back(arrival);
    }
    for (const auto arrival : waiting) applying.erase(arrival);
    if (demoting && !demotion_saving) {
        complete_command(*demoting, failed(Errc::superseded_command, "the peer was lost"));
        demoting.reset();
    }
    keep_for_resending();
    if (died) distrust_peer();
    after_loss(was_agreed);
}

void Resource::State::after_loss(bool was_agreed) {
    if (disk != DiskState::UpToDate) return;
    if (last_loss == LossReason::given_up && !peer_behind) {
        disk = DiskState::Consistent;
        return;
    }
    if (role == Role::Primary) return go_alone();
    if (peer_behind && was_agreed) {
        superblock.peer_outdated = true;
        // It may come back without what it had in its disk's cache, and must not count as the newer one for having been
        // Primary: what it was answered for is here.
        if (last_loss != LossReason::left) {
            unrecorded_loss = superblock.generations.current;
            bump_generation();
        }
        save(true, [this] { unrecorded_loss = 0; });
    }
}

// Invariant 1: in flight stays unanswered until the peer is recorded as behind, or has it.
void Resource::State::keep_for_resending() {
    for (auto& [id, write] : writes) {
        if (!write.remote_pending) continue;
        write.remote_pending = false;
        write.remote_unsent = true;
        write.stored_remote = false;
    }
    for (auto& [id, flush] : flushes) {
        if (!flush.remote_pending) continue;
        flush.remote_pending = false;
        flush.remote_unsent = true;
        flush.stored_remote = false;
    }
}

// Its disk is gone: what it has stored of what is in flight does not count, what it still owes an answer will tell.
void Resource::State::forget_answers_of_peer() {
    for (auto& [id, write] : writes) write.stored_remote = write.stored_remote && write.remote_pending;
    for (auto& [id, flush] : flushes) flush.stored_remote = flush.stored_remote && flush.remote_pending;
}

// What the peer has stored of what is in flight, it may have lost since, with its power or a flush that failed.
void Resource::State::distrust_peer() {
    for (auto& [id, write] : writes) {
        if (write.remote_pending) continue;
        write.remote_unsent = true;
        write.stored_remote = false;
        const bool is_here = write.stored_local && write.holds_extents == disk_number;
        if (disk_open && !is_here && !write.local_pending) write.local_pending = write.local_unsent = true;
    }
    for (auto& [id, flush] : flushes) {
        if (flush.remote_pending) continue;
        flush.remote_unsent = true;
        flush.stored_remote = false;
    }
}

void Resource::State::go_alone() {
    for (const auto& [id, write] : writes) bitmap.set(write.request.range);
    peer_behind = true;
    superblock.peer_outdated = true;
    superblock.primary = true;
    bump_generation();
    save(false, [this] {
        if (disk != DiskState::UpToDate || !superblock.peer_outdated) return;
        alone = true;
        report("goes on alone");
        probe_alone_now.hit();
        drop_remote_parts();
    });
}

void Resource::State::drop_remote_parts() {
    std::vector<RequestId> ids;
    for (auto& [id, write] : writes) {
        if (!write.remote_unsent) continue;
        write.remote_unsent = false;
        ids.push_back(id);
    }
    for (const auto id : ids) finish_write(id);
    ids.clear();
    for (auto& [id, flush] : flushes) {
        if (!flush.remote_unsent) continue;
        flush.remote_unsent = false;
        ids.push_back(id);
    }
    for (const auto id : ids) finish_flush(id);
}

}  // namespace blockrep
