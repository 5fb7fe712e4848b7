// The backing disk: requests to it, attaching, failing, letting go.
#include "blockrep/core/resource_state.hh"

namespace blockrep {

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
    local.emplace(number, std::move(done));
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
        for (const auto extent : image->activity_log.extents) bitmap.set(range_of_extent(extent));
        report("was Primary when it crashed: " + std::to_string(image->activity_log.extents.size()) +
               " extents of the activity log are marked out of sync");
    }
    if (image->damaged_pages != 0) {
        report(std::to_string(image->damaged_pages) + " damaged bitmap pages count as out of sync");
    }
    disk_open = true;
    ++disk_number;
    disk = DiskState::Attaching;
    // What the log stood for must be in the bitmap on disk before the log is written anew.
    save(true, [this, command = event.command] {
        disk = state_of(superblock);
        // It was away while the peer's disk was in use: only a handshake can tell.
        if (disk == DiskState::UpToDate && session_up) disk = DiskState::Consistent;
        peer_behind = superblock.peer_outdated && disk == DiskState::UpToDate;
        report(std::string("attached, disk is ") + std::string(to_string(disk)));
        if (session_up) restart_link("a disk was attached");
        complete_command(command, {});
    });
}

void Resource::State::close_disk() {
    disk = DiskState::Diskless;
    disk_open = false;
    jobs.clear();
    job_running = false;
    act(CloseDisk{});
}

void Resource::State::fail_disk(const std::string& why) {
    if (!disk_open) return;
    report("the backing disk failed (" + why + "): detached");
    alone = false;
    promoting = false;
    demotion_saving = false;
    close_disk();
    announce_state();
}

}  // namespace blockrep
