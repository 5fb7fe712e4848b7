// The backing disk: requests to it, attaching, failing, letting go.
#include "base/probe.hh"
#include "blockrep/core/resource_state.hh"

namespace blockrep {
namespace {

base::Probe probe_disk_failed("blockrep: a disk fails");
base::Probe probe_log_applied("blockrep: a crashed Primary marks its activity log");
base::Probe probe_both_disks_lost("blockrep: the peer cannot record that a disk is lost");
base::Probe probe_loss_recorded_late("blockrep: a disk comes back that had not recorded the peer's death");
base::Probe probe_attached_behind("blockrep: a Primary attaches a disk that missed writes");

}  // namespace

void Resource::State::read_local(const Range& range, const ReadBuffer& into, LocalDone done) {
    const auto number = ticket();
    local.emplace(number, std::move(done));
    act(ReadLocal{number, range, into});
}

void Resource::State::write_local(const Range& range, const Payload& payload, bool stable, LocalDone done) {
    const auto number = ticket();
    local.emplace(number, std::move(done));
    act(WriteLocal{number, range, payload, stable});
}

void Resource::State::flush_local(LocalDone done) {
    const auto number = ticket();
    local.emplace(number, [this, done = std::move(done)](base::Result<Payload> result) {
        if (!result) cache_lost = true;
        done(std::move(result));
    });
    act(FlushLocal{number});
}

namespace {

DiskState state_of(const Superblock& superblock) {
    if (!superblock.consistent) return DiskState::Inconsistent;
    if (!superblock.up_to_date) return DiskState::Outdated;
    return superblock.peer_outdated ? DiskState::UpToDate : DiskState::Consistent;
}

}  // namespace

void Resource::State::open_disk(const DiskOpened& event) {
    if (disk_open) return complete_command(event.command, failed(Errc::already_attached));
    // Their answers would be taken for this disk's.
    if (!local.empty()) {
        return complete_command(event.command,
                                failed(Errc::device_in_use, "the lost disk has not answered everything yet"));
    }
    const auto where = geometry_of(event.disk_size);
    if (!where) return complete_command(event.command, std::unexpected(where.error()));
    auto image = read_metadata(*where, event.disk_size, event.metadata);
    if (!image) return complete_command(event.command, std::unexpected(image.error()));

    geometry = *where;
    superblock = image->superblock;
    superblock_copy = image->newer_superblock_copy;
    bitmap = Bitmap(geometry, std::move(image->bitmap), superblock.device);
    log = ActivityLog(settings.al_extents, image->activity_log.sequence, image->newer_al_copy);
    crashed_primary = superblock.primary;
    if (crashed_primary) {
        probe_log_applied.hit();
        for (const auto extent : image->activity_log.extents) bitmap.set(range_of_extent(extent));
        report("was Primary when it crashed: " + std::to_string(image->activity_log.extents.size()) +
               " extents of the activity log are marked out of sync");
    }
    if (image->damaged_pages != 0) {
        report(std::to_string(image->damaged_pages) + " damaged bitmap pages count as out of sync");
    }
    record_loss_again();
    disk_open = true;
    ++disk_number;
    disk = DiskState::Attaching;
    // What the log stood for must be in the bitmap on disk before the log is written anew.
    const auto attached = [this, command = event.command] {
        disk = state_of(superblock);
        // It was away while the peer's disk was in use: only a handshake can tell.
        if (disk == DiskState::UpToDate && session_up) disk = DiskState::Consistent;
        if (role != Role::Primary) missed_writes = false;  // nobody here has seen more: the generations decide
        // A Primary's own clients know better than this disk: it can only be a target.
        if (role == Role::Primary && missed_writes) {
            probe_attached_behind.hit();
            disk = DiskState::Inconsistent;
        }
        peer_behind = superblock.peer_outdated && disk == DiskState::UpToDate;
        report(std::string("attached, disk is ") + std::string(to_string(disk)));
        if (session_up) {
            restart_link("a disk was attached");
        } else if (role == Role::Primary && peer_behind) {
            go_alone();
        }
        redo_local_parts();
        complete_command(command, {});
    };
    save(true, attached, event.command);
}

// The disk failed before it took down that the peer had died: nobody has written since.
void Resource::State::record_loss_again() {
    if (unrecorded_loss == 0 || cache_lost || superblock.generations.current != unrecorded_loss) return;
    probe_loss_recorded_late.hit();
    superblock.peer_outdated = true;
    bump_generation();
}

// Detached or failed. Who waits for it is told, the peer too.
void Resource::State::close_disk() {
    abandon_resync();
    const bool peer_has_newer = session_up && peer_disk == DiskState::UpToDate;
    if (peer_has_newer) missed_writes = loss_unconfirmed = true;
    disk = DiskState::Diskless;
    disk_open = false;
    alone = false;
    recording_loss = 0;
    act(CloseDisk{});
    for (auto& [id, write] : writes) {
        if (!write.local_unsent) continue;
        write.local_pending = write.local_unsent = write.stored_local = false;
        release_awaiting(id);
    }
    drop_jobs();
    if (session_up && (negotiating || session_poisoned)) return restart_link("the disk is gone");
    announce_state();
    if (leave && !leave->said) say_leave();
    confirm_loss();
    answer_held();
}

// As its source. What has been sent of it is of no use: the end of a resync must be on our disk before the peer hears
// of it.
void Resource::State::abandon_resync() {
    chunks.clear();
    if (sync_finish_sent) return;
    if (sync_finishing || replication == ReplicationState::SyncSource) peer_disk = DiskState::Inconsistent;
    sync_finishing = false;
    if (replication == ReplicationState::SyncSource) replication = ReplicationState::Established;
}

void Resource::State::drop_jobs() {
    std::deque<MetadataJob> dropped;
    dropped.swap(jobs);
    job_running = false;
    promoting = false;
    if (demotion_saving) demoting.reset();
    demotion_saving = false;
    for (const auto& job : dropped) complete_command(job.command, failed(Errc::local_io));
}

// What only the peer has stored is not answered before it has recorded that our disk is gone: it answers this flush
// after that. It cannot when its own disk is gone, too: then nobody has what was stored there.
void Resource::State::confirm_loss() {
    if (!loss_unconfirmed || !session_up || negotiating) return;
    flush_peer([this](bool recorded) {
        loss_unconfirmed = false;
        if (!recorded) {
            probe_both_disks_lost.hit();
            forget_answers_of_peer();
        }
        finish_all();
    });
}

void Resource::State::fail_disk(const std::string& why) {
    if (!disk_open) return;
    report("the backing disk failed (" + why + "): detached");
    probe_disk_failed.hit();
    close_disk();
}

}  // namespace blockrep
