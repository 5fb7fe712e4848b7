// Bringing the target up to date: bitmaps are exchanged and united, blocks are copied under range locks, and the end is
// agreed on in an order that a crash anywhere leaves decidable (rules 34 to 37, 50 and 70 of the handshake).
#include <algorithm>

#include "blockrep/core/resource_state.hh"

namespace blockrep {

void Resource::State::start_bitmap_exchange() {
    const bool source = verdict.direction == SyncDirection::source;
    replication = source ? ReplicationState::WFBitMapS : ReplicationState::WFBitMapT;
    if (verdict.extent == SyncExtent::full) bitmap.set_all();
    send_bitmap();
}

void Resource::State::send_bitmap() {
    BitmapPart part;
    if (verdict.extent == SyncExtent::bitmap) {
        for (std::uint64_t at = 0;;) {
            const auto run = bitmap.next_dirty(at, geometry.data_size);
            if (!run) break;
            part.runs.push_back({run->offset / bitmap_block, run->length / bitmap_block});
            at = run->end();
            if (part.runs.size() < BitmapPart::max_runs) continue;
            send(part);
            part.runs.clear();
        }
    }
    part.last = true;
    send(part);
}

void Resource::State::on(const BitmapPart& message, const Payload&) {
    const bool expected = replication == ReplicationState::WFBitMapS || replication == ReplicationState::WFBitMapT;
    if (!expected || bitmap_received) return bad_peer("a bitmap out of place");
    for (const auto& run : message.runs) {
        if (run.first + run.count > bitmap.bits()) return bad_peer("a bitmap beyond the device");
        bitmap.set({run.first * bitmap_block, run.count * bitmap_block});
    }
    if (!message.last) return;
    bitmap_received = true;
    if (replication == ReplicationState::WFBitMapS) begin_sync_as_source();
}

void Resource::State::begin_sync_as_source() {
    auto& generations = superblock.generations;
    if (generations.bitmap == 0) generations.bitmap = new_generation();
    disk = DiskState::UpToDate;  // the only other replica is about to be declared behind
    superblock.consistent = superblock.up_to_date = true;
    superblock.peer_outdated = true;
    superblock.primary = writes_here();
    crashed_primary = missed_writes = cache_lost = false;
    if (peer_report->cache_lost) distrust_peer();
    peer_behind = true;
    save(true, [this, in = session_number] {
        if (in == session_number) send(SyncStart{superblock.generations.bitmap});
    });
}

void Resource::State::on(const SyncStart& message, const Payload&) {
    if (replication != ReplicationState::WFBitMapT || !bitmap_received || sync_starting) {
        return bad_peer("a resync that was not agreed");
    }
    sync_starting = true;
    disk = DiskState::Inconsistent;
    superblock.consistent = superblock.up_to_date = superblock.peer_outdated = false;
    superblock.primary = writes_here();
    superblock.generations.current = message.sync_generation;
    superblock.generations.bitmap = 0;
    crashed_primary = false;
    peer_behind = alone = false;
    save(true, [this, in = session_number] {
        if (in != session_number) return;
        sync_starting = false;
        missed_writes = cache_lost = false;  // that is on disk now
        negotiating = false;
        replication = ReplicationState::SyncTarget;
        resync_total = bitmap.count();
        peer_disk = DiskState::UpToDate;
        send(SyncStarted{});
        report("resync as SyncTarget: " + std::to_string(dirty_kib()) + " KiB");
        resend_in_flight();
    });
}

void Resource::State::on(const SyncStarted&, const Payload&) {
    if (replication != ReplicationState::WFBitMapS) return bad_peer("the start of a resync out of place");
    negotiating = false;
    alone = false;
    replication = ReplicationState::SyncSource;
    peer_disk = DiskState::Inconsistent;
    resync_total = bitmap.count();
    resync_cursor = 0;
    report("resync as SyncSource: " + std::to_string(dirty_kib()) + " KiB");
    resend_in_flight();
}

// As many chunks in flight as the settings allow.
void Resource::State::fill_resync() {
    if (replication != ReplicationState::SyncSource || link_lost_at || !has_disk()) return;
    while (chunks.size() < settings.resync_chunks && take_chunk()) {
    }
    check_resync_finished();
}

bool Resource::State::take_chunk() {
    for (bool wrapped = false;;) {
        const auto next = bitmap.next_dirty(resync_cursor, settings.resync_chunk_length);
        if (!next) {
            if (wrapped || resync_cursor == 0) return false;
            wrapped = true;
            resync_cursor = 0;
            continue;
        }
        resync_cursor = next->end();
        // The last block of the device may be cut off by the metadata; the data area is whole blocks.
        if (overlaps_own_write(*next) || overlaps_applying(*next) || overlaps_chunk(*next, false)) continue;
        const auto id = ticket();
        chunks.emplace(id, Chunk{*next});
        read_local(*next, {}, [this, id](base::Result<Payload> result) { chunk_read(id, std::move(result)); });
        return true;
    }
}

void Resource::State::chunk_read(RequestId id, base::Result<Payload> result) {
    const auto found = chunks.find(id);
    if (!result) fail_disk("read for the resync: " + result.error().message());
    if (found == chunks.end() || !result) return;
    found->second.sent = true;
    const bool zeroes = result->is_zeros();
    send(ResyncBlocks{id, found->second.range, zeroes}, zeroes ? Payload{} : *result);
}

void Resource::State::on(const ResyncDone& message, const Payload&) {
    const auto found = chunks.find(message.id);
    if (found == chunks.end() || !found->second.sent) {
        if (replication == ReplicationState::SyncSource) bad_peer("an answer to a resync that was not sent");
        return;
    }
    const auto range = found->second.range;
    const bool outdated = found->second.outdated;
    chunks.erase(found);
    if (!message.stored) {
        peer_disk = DiskState::Diskless;
        return peer_lacks_disk();
    }
    if (outdated) return;  // its bits stay
    bitmap.clear(range);
    bitmap.note_unproven(range, flush_epoch);
    limit_unproven();
}

void Resource::State::check_resync_finished() {
    if (sync_finishing || bitmap.count() != 0 || !chunks.empty()) return;
    sync_finishing = true;
    flush_peer([this, in = session_number](bool stored) {
        if (in != session_number) return;
        if (!stored || bitmap.count() != 0 || !has_disk()) {
            sync_finishing = false;
            return;
        }
        finish_resync();
    });
}

// The target may be UpToDate as soon as it reads this: that it must be fenced before we go on alone is on disk first.
void Resource::State::finish_resync() {
    superblock.peer_outdated = false;
    peer_behind = false;
    peer_disk = DiskState::UpToDate;
    save(true, [this, in = session_number] {
        if (in != session_number) return;
        auto theirs = superblock.generations;
        theirs.retire_bitmap();
        sync_finish_sent = true;
        send(SyncFinish{theirs});
    });
}

void Resource::State::on(const SyncFinish& message, const Payload&) {
    const bool fresh = replication == ReplicationState::Established && disk == DiskState::Inconsistent;
    if (!has_disk()) return;  // the source is being told
    if (replication != ReplicationState::SyncTarget && !fresh) return bad_peer("the end of a resync out of place");
    bitmap.clear_all();
    superblock.generations = message.generations;
    superblock.consistent = superblock.up_to_date = true;
    superblock.peer_outdated = false;
    peer_disk = DiskState::UpToDate;
    save(true, [this, in = session_number] {
        disk = DiskState::UpToDate;
        report("resync finished, disk is UpToDate");
        if (in == session_number && session_up) {
            replication = ReplicationState::Established;
            send(SyncFinished{});
            if (peer_disk == DiskState::Diskless) peer_lacks_disk();
        } else if (session_up) {
            restart_link("the disk became UpToDate during the handshake");
        } else {
            after_loss(true);
        }
    });
}

void Resource::State::on(const SyncFinished&, const Payload&) {
    if (!sync_finishing) return bad_peer("the end of a resync out of place");
    sync_finishing = sync_finish_sent = false;
    superblock.generations.retire_bitmap();
    replication = ReplicationState::Established;
    report("resync finished, the peer is UpToDate");
    save(false, {});
}

}  // namespace blockrep
