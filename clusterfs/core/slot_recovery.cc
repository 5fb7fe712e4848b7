#include "clusterfs/core/slot_recovery.hh"

#include "base/probe.hh"

#include <utility>

namespace clusterfs {
namespace {

base::Probe probe_survivor_recovers("clusterfs: a survivor recovers a slot");

}  // namespace

void SlotRecovery::node_died(const base::NodeIncarnation& node) {
    queue_.push_back(node);
    if (!busy_) next();
}

void SlotRecovery::next() {
    if (queue_.empty()) return;
    busy_ = true;
    const auto node = queue_.front();
    queue_.pop_front();
    io_.request_lock(slot_map_lock, LockMode::exclusive, false, [this, node](bool granted) {
        if (granted) return read_map(node);
        give_up({std::make_error_code(std::errc::io_error), "the lock of the slot map was refused"});
    });
}

void SlotRecovery::read_map(base::NodeIncarnation node) {
    io_.read(slot_map_number, 1, [this, node](base::Result<MountIo::Blocks> read) {
        if (!read) return give_up(read.error());
        auto map = usable_slot_map(*read->front(), superblock_);
        io_.saw_sequence(map->as<SlotMap>().header.sequence);
        map_changed_ = false;
        recover_slots(node, std::move(map), 0);
    });
}

// Whose journals are to be replayed is not asked of the slot map, which may be damaged: whatever slot's lock can be had
// belongs to nobody alive, and a journal that needs no replay costs one read. Nobody else replays or takes a slot while
// we have S0.
void SlotRecovery::recover_slots(base::NodeIncarnation node, std::shared_ptr<Block> map, std::uint32_t slot) {
    if (slot == own_slot_) ++slot;
    if (slot >= superblock_.slot_count) return finish(node, std::move(map));
    io_.request_lock(slot_lock(slot), LockMode::exclusive, true, [this, node, map, slot](bool granted) {
        if (granted) return got_slot(node, map, slot);
        recover_slots(node, map, slot + 1);
    });
}

void SlotRecovery::got_slot(base::NodeIncarnation node, std::shared_ptr<Block> map, std::uint32_t slot) {
    probe_survivor_recovers.hit();
    Replay::run(io_, journal_region(superblock_, slot), superblock_.block_count, callbacks_.ours,
                [this, node, map, slot](base::Result<ReplaySummary> summary) {
                    io_.release_lock(slot_lock(slot));
                    if (!summary) return give_up(summary.error());
                    auto& state = map->as<SlotMap>().slots[slot].state;
                    map_changed_ |= std::exchange(state, SlotState::free) != SlotState::free;
                    if (summary->was_dirty) {
                        ++replayed_;
                        callbacks_.recovered(slot);
                    }
                    recover_slots(node, map, slot + 1);
                });
}

void SlotRecovery::finish(base::NodeIncarnation node, std::shared_ptr<Block> map) {
    if (!map_changed_) return released(node);
    write_slot_map(io_, map, [this, node](base::Result<void> written) {
        if (!written) return give_up(written.error());
        released(node);
    });
}

void SlotRecovery::released(base::NodeIncarnation node) {
    io_.release_lock(slot_map_lock);
    io_.actions().push_back(ReleaseDead{node});
    busy_ = false;
    next();
}

void SlotRecovery::give_up(const base::Error& error) {
    io_.release_lock(slot_map_lock);
    busy_ = false;
    callbacks_.failed(error);
    next();
}

void SlotRecovery::leave(std::uint32_t slot, MountIo::Done done) {
    io_.request_lock(slot_map_lock, LockMode::exclusive, false, [this, slot, done = std::move(done)](bool granted) {
        if (!granted) return done(base::failure(std::errc::io_error, "the lock of the slot map was refused"));
        clear_slot(slot, done);
    });
}

void SlotRecovery::clear_slot(std::uint32_t slot, MountIo::Done done) {
    io_.read(slot_map_number, 1, [this, slot, done = std::move(done)](base::Result<MountIo::Blocks> read) {
        if (!read) return done(std::unexpected(read.error()));
        const auto map = usable_slot_map(*read->front(), superblock_);
        io_.saw_sequence(map->as<SlotMap>().header.sequence);
        map->as<SlotMap>().slots[slot].state = SlotState::free;
        write_slot_map(io_, map, [this, done](base::Result<void> written) {
            io_.release_lock(slot_map_lock);
            done(std::move(written));
        });
    });
}

}  // namespace clusterfs
