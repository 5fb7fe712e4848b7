// After the hello: both sides report, both compute the same verdict, and each says when the other may count as
// UpToDate.
#include "base/probe.hh"
#include "blockrep/core/resource_state.hh"

namespace blockrep {
namespace {

base::Probe probe_split_brain("blockrep: a handshake ends in disagreement");
base::Probe probe_end_of_resync_lost("blockrep: a handshake finds that a resync had finished");

}  // namespace

StateReport Resource::State::make_report() const {
    StateReport own;
    own.disk = has_disk() ? disk : DiskState::Diskless;
    own.missed_writes = has_disk() && role == Role::Primary && missed_writes;
    if (own.missed_writes && superblock.consistent) own.disk = DiskState::Consistent;
    own.cache_lost = cache_lost;
    own.role = role;
    own.generations = superblock.generations;
    own.crashed_primary = crashed_primary;
    own.allow_two_primaries = settings.allow_two_primaries;
    own.discard_my_data = discard_my_data;
    own.data_size = has_disk() ? geometry.data_size : 0;
    own.dirty_bits = bitmap.count();
    return own;
}

void Resource::State::start_negotiation() {
    session_up = true;
    negotiating = true;
    unrecorded_loss = 0;
    replication = ReplicationState::Off;
    agreed_sent = agreed_received = false;
    bitmap_received = sync_starting = sync_finishing = sync_finish_sent = false;
    peer_report.reset();
    own_report = make_report();
    send(*own_report);
}

void Resource::State::on(const StateReport& message, const Payload&) {
    const bool first = !peer_report;
    peer_report = message;
    peer_role = message.role;
    if (first) return decide();
    const bool lost = message.disk == DiskState::Diskless && peer_disk != DiskState::Diskless;
    if (lost) peer_disk = DiskState::Diskless;
    if (lost || (peer_writes_through_us() && !superblock.primary)) peer_lacks_disk();
}

// Role or disk changed while a session stands.
void Resource::State::announce_state() {
    if (session_up && own_report) send(make_report());
}

void Resource::State::decide() {
    own_report->disk = disk_that_counts(*own_report, *peer_report);
    peer_report->disk = disk_that_counts(*peer_report, *own_report);
    peer_disk = peer_report->disk;
    if (peer_report->role == Role::Primary && role == Role::Primary &&
        !(settings.allow_two_primaries && peer_report->allow_two_primaries)) {
        report("both are Primary, which the configuration does not allow");
        return disagree(Disagreement::primary_would_lose);
    }
    verdict = decide_handshake(*own_report, *peer_report, orderer);
    report("handshake: rule " + std::to_string(verdict.rule) + ", " +
           (verdict.disagreement != Disagreement::none   ? std::string(to_string(verdict.disagreement))
            : verdict.direction == SyncDirection::none   ? "no resync"
            : verdict.direction == SyncDirection::source ? "SyncSource"
                                                         : "SyncTarget") +
           (verdict.extent == SyncExtent::full ? ", everything" : ""));
    if (verdict.disagreement != Disagreement::none) {
        probe_split_brain.hit();
        return disagree(verdict.disagreement);
    }
    if (verdict.retire_own_bitmap) {
        probe_end_of_resync_lost.hit();
        superblock.generations.retire_bitmap();
    }
    discard_my_data = false;
    if (verdict.direction == SyncDirection::none) return agree_without_sync();
    start_bitmap_exchange();
}

// StandAlone until an operator decides; whoever was going on alone goes on.
void Resource::State::disagree(Disagreement why) {
    report(std::string(to_string(why)));
    negotiating = false;
    replication = ReplicationState::Off;
    peer_disk = DiskState::DUnknown;
    peer_role = Role::Unknown;
    connection = ConnectionState::StandAlone;
    reset_session();
    close_link(std::string(to_string(why)));
}

void Resource::State::agree_without_sync() {
    if (is_consistent(own_report->disk) && is_consistent(peer_report->disk)) {
        superblock.peer_outdated = false;
        peer_behind = false;
        alone = false;
        peer_disk = DiskState::UpToDate;  // from now on it may be: it must be fenced before we go on alone
    }
    save(true, [this, in = session_number] {
        if (in != session_number) return;
        agreed_sent = true;
        send(Agreed{});
        check_established();
    });
}

void Resource::State::on(const Agreed&, const Payload&) {
    if (!negotiating || verdict.direction != SyncDirection::none) return bad_peer("an agreement out of place");
    agreed_received = true;
    check_established();
}

void Resource::State::check_established() {
    if (!agreed_sent || !agreed_received) return;
    negotiating = false;
    replication = ReplicationState::Established;
    if (has_disk() && is_consistent(own_report->disk) && is_consistent(peer_report->disk)) {
        disk = DiskState::UpToDate;
        missed_writes = cache_lost = false;
        superblock.consistent = superblock.up_to_date = true;
        superblock.primary = writes_here();
        crashed_primary = false;
        save(false, {});
    } else if (has_disk() && disk == DiskState::UpToDate) {
        peer_lacks_disk();
    } else if (!has_disk() && peer_disk == DiskState::UpToDate) {
        missed_writes = loss_unconfirmed = true;
    }
    report("established");
    resend_in_flight();
}

// The peer's disk is gone or useless: what is written from now on it will lack, and what it did not flush it may lack.
void Resource::State::peer_lacks_disk() {
    if (peer_disk == DiskState::UpToDate || disk != DiskState::UpToDate) return;
    chunks.clear();
    sync_finishing = sync_finish_sent = false;
    if (replication == ReplicationState::SyncSource) replication = ReplicationState::Established;
    bitmap.mark_unproven();
    unproven_since.reset();
    forget_answers_of_peer();
    superblock.peer_outdated = true;
    // Our activity log covers what a Primary writes through us, and counts only with this mark.
    superblock.primary = superblock.primary || peer_writes_through_us();
    peer_behind = true;
    bump_generation();
    ++recording_loss;
    save(false, [this] {
        if (--recording_loss == 0) answer_held();
    });
}

void Resource::State::bump_generation() {
    auto& generations = superblock.generations;
    if (generations.bitmap != 0) return;  // already a history of its own
    generations.bitmap = generations.current;
    generations.current = new_generation();
}

}  // namespace blockrep
