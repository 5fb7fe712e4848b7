// Getting a place in the filesystem: superblock read and judged, every journal whose owner is gone replayed, a slot
// taken. Whoever has the lock J<slot> owns the slot; the slot map says so to people and to recovery.
//
// All of it happens under S0, so that two nodes do not try the slots at the same time. S0 and J locks are asked for in
// recovery: what a dead node held of them is not withheld.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "clusterfs/core/replay.hh"
#include "clusterfs/format/slot_map.hh"

namespace clusterfs {

inline constexpr LockName slot_map_lock{LockType::slot_map, 0};
inline LockName slot_lock(std::uint32_t slot) { return {LockType::slot, slot}; }

// Is this a filesystem that this version may mount?
base::Result<void> judge_superblock(const Block& block, std::uint64_t device_blocks, bool read_only);

// The slot map of a block as read; one that was torn while it was written is taken as it is, each entry lies within a
// sector. A block that is something else altogether makes an empty map: the J locks and journals hold the truth.
std::shared_ptr<Block> usable_slot_map(const Block& read, const Superblock& superblock);

struct ClaimedSlot {
    std::uint32_t slot = 0;
    JournalRegion region;
    JournalState journal;                 // marked dirty, empty
    std::vector<std::uint32_t> replayed;  // slots whose journals were dirty
    // No other slot is owned by a living node, and every journal is empty. Then S0 is still held, so that it remains
    // so: to be released by the caller.
    bool alone = false;
};

class SlotClaim : public std::enable_shared_from_this<SlotClaim> {
  public:
    using Done = std::function<void(base::Result<ClaimedSlot>)>;

    // `superblock` must outlive the claim. A read-only mount replays, but takes no slot.
    static void run(MountIo& io, const Superblock& superblock, const MountOptions& options, Done done);

  private:
    SlotClaim(MountIo& io, const Superblock& superblock, const MountOptions& options, Done done)
        : io_(io), superblock_(superblock), options_(options), done_(std::move(done)) {}

    void read_map();
    void try_slot(std::uint32_t slot);
    void replay(std::uint32_t slot);
    void choose();
    void take(std::uint32_t slot);
    void write_map();
    void finish(base::Result<ClaimedSlot> outcome);
    SlotMap& map() { return map_->as<SlotMap>(); }

    MountIo& io_;
    const Superblock& superblock_;
    const MountOptions& options_;
    Done done_;
    std::shared_ptr<Block> map_;
    std::map<std::uint32_t, JournalState> owned_;  // slots whose locks we have, and their journals, clean
    ClaimedSlot claimed_;
    int attempts_ = 0;
};

// Seals and writes the map; `done` when it is stable. S0 must be held.
void write_slot_map(MountIo& io, const std::shared_ptr<Block>& map, MountIo::Done done);

}  // namespace clusterfs
