// What a Mount is made of. Only core/mount*.cc include this.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "clusterfs/core/allocation_hints.hh"
#include "clusterfs/core/block_cache.hh"
#include "clusterfs/core/journal_writer.hh"
#include "clusterfs/core/lock_cache.hh"
#include "clusterfs/core/mount.hh"
#include "clusterfs/core/mount_io.hh"
#include "clusterfs/core/mount_operations.hh"
#include "clusterfs/core/mount_orphans.hh"
#include "clusterfs/core/mount_reclaim.hh"
#include "clusterfs/core/slot_recovery.hh"

namespace clusterfs {

struct Mount::State : LockOwner {
    enum class Phase { created, starting, running, stopping, stopped };

    State(MountOptions given, std::uint64_t device_blocks, const ViewSource& source);

    // ---- LockOwner ----
    bool make_clean(const LockName& name) override;
    void forget(const LockName& name) override;
    void kept(const LockName& name, LockMode mode) override { operations.on_lock_granted(name, mode); }
    Ticket new_ticket() override { return io.new_ticket(); }
    bool may_be_directory(InodeNumber inode) override;

    // ---- start ----
    void read_superblock();
    void superblock_read(base::Result<MountIo::Blocks> read);
    void claimed(base::Result<ClaimedSlot> claim);
    void ready(const std::vector<std::uint32_t>& replayed);
    void cannot_start(const base::Error& error);

    // ---- events ----
    void dispatch(Event& event);
    void lock_granted(const LockGranted& event);
    void lock_refused(const LockRefused& event);
    void node_died(const NodeDied& event);
    void journal_failed(const base::Error& error);
    // As far as our cache knows.
    bool has_no_links(InodeNumber inode);
    // Ends every call into the mount: runs what became possible until nothing more is.
    void settle();

    // ---- stop ----
    void progress_stop();
    void journal_closed(const base::Result<void>& outcome);
    void slot_left();
    void end(base::Result<void> outcome);

    void check_hints() const;
    const Superblock& sb() const { return superblock->as<Superblock>(); }

    MountOptions options;
    Phase phase = Phase::created;
    MountIo io;
    std::shared_ptr<Block> superblock;
    std::uint32_t slot = 0;
    BlockCache cache;
    mutable AllocationHints hints;
    LockCache locks;
    JournalWriter journal;
    MountOperations operations;
    MountOrphans orphans;
    MountReclaim reclaim;
    std::optional<SlotRecovery> recovery;
    std::vector<base::NodeIncarnation> died_early;  // before we had started
    bool reclaiming = false;

    bool read_only = false;
    std::optional<base::Error> failure;
    bool progressed = false;
    bool withdrawing = false;  // a lock is to be given back that never can be
    enum class StopStep { operations, journal, locks, slot, done };
    StopStep stop_step = StopStep::operations;
    std::uint64_t replayed_at_start = 0;
};

}  // namespace clusterfs
