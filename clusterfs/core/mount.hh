// One mounted filesystem on one node: block cache, locks, journal, recovery. Pure: what it wants done comes out as
// actions, what happened goes in as events. The driver and the simulator hold one mutex (or none) around every call.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "base/error.hh"
#include "base/json_writer.hh"
#include "base/node.hh"
#include "base/time.hh"
#include "base/uuid.hh"
#include "clusterfs/core/block.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs {

using Ticket = std::uint64_t;  // names one action until its event comes back; never reused within a mount

// ---- actions -------------------------------------------------------------------------------------------------------
struct ReadBlocks {  // answered by BlocksRead
    Ticket ticket;
    BlockNumber first;
    std::uint32_t count;
};
struct WriteBlocks {  // answered by BlocksWritten; the blocks of one action are consecutive on the device
    Ticket ticket;
    BlockNumber first;
    std::vector<BlockHandle> blocks;
    bool stable;  // must be on stable media on all replicas (FUA)
};
struct FlushDevice {  // answered by DeviceFlushed
    Ticket ticket;
};
struct RequestLock {  // new request or conversion, the driver knows the lock id; answered by LockGranted or LockRefused
    LockName name;
    LockMode mode;
    bool no_queue;  // refuse at once when it cannot be granted
    bool recovery;  // passes although locks of a dead node are withheld
};
struct ReleaseLock {  // to `keep` (none: give it up). Needs no answer
    LockName name;
    LockMode keep;
};
struct InvalidateKernel {  // drop the kernel's pages, attributes and entries of this inode; answered by
                           // KernelInvalidated
    Ticket ticket;
    InodeNumber inode;
    bool is_directory;
};
struct ReleaseDead {  // the journal of that node was replayed: what it held may be granted
    base::NodeIncarnation node;
};
struct Stopped {  // unmount is complete, or the mount cannot go on (error): then locks that are still held must not be
                  // released as by a good leave. Who holds them dies for the others, and they replay
    base::Result<void> outcome;
};
struct BecomeReadOnly {  // nothing can be changed any more; say so. Reading goes on until another node asks for a lock
                         // over changes that cannot be written: then Stopped{error}
    base::Error reason;
};
struct Started {};  // the filesystem may be used
using Action = std::variant<ReadBlocks, WriteBlocks, FlushDevice, RequestLock, ReleaseLock, InvalidateKernel,
                            ReleaseDead, BecomeReadOnly, Started, Stopped>;
using Actions = std::vector<Action>;

// ---- events --------------------------------------------------------------------------------------------------------
struct BlocksRead {
    Ticket ticket;
    base::Result<std::vector<std::shared_ptr<Block>>> blocks;
};
struct BlocksWritten {
    Ticket ticket;
    base::Result<void> outcome;
};
struct DeviceFlushed {
    Ticket ticket;
    base::Result<void> outcome;
};
struct LockGranted {
    LockName name;
    LockMode mode;
};
struct LockRefused {  // a no_queue request was not granted, or a conversion was refused as a deadlock: mode is
                      // unchanged
    LockName name;
};
struct LockWanted {  // blocking notice: another node asks for this mode
    LockName name;
    LockMode mode;
};
struct KernelInvalidated {
    Ticket ticket;
};
struct NodeDied {  // fenced: its journal must be replayed, then ReleaseDead. Every survivor gets this
    base::NodeIncarnation node;
};
struct TimePassed {};  // next_deadline() was reached
using Event = std::variant<BlocksRead, BlocksWritten, DeviceFlushed, LockGranted, LockRefused, LockWanted,
                           KernelInvalidated, NodeDied, TimePassed>;

// ---- options -------------------------------------------------------------------------------------------------------
struct MountOptions {
    base::NodeIncarnation self;
    bool read_only = false;
    base::Duration commit_interval = base::Duration::seconds(5);
    base::Duration minimum_hold = base::Duration::milliseconds(5);  // of a fresh lock, before it is given back
    std::uint32_t cache_blocks = 65536;                             // bound of clean cached blocks
    std::uint32_t cached_locks = 131072;                            // about as many locks are kept after use
};

class Mount : private ViewSource {
  public:
    // An operation: runs on a view, puts its results where its closure says, returns what POSIX would.
    using Operation = std::function<base::Result<void>(View&)>;
    // Called exactly once, with what the last run of the operation returned; inside run() or a later step(). It must
    // not call into the mount again (post it, or collect and act after the call returned).
    using Completion = std::function<void(base::Result<void>)>;

    Mount(MountOptions options, std::uint64_t device_blocks);
    ~Mount() override;

    // Reads the superblock, replays what dead nodes left (slots whose lock can be had), takes a slot. Ends in Started
    // or Stopped{error}.
    void start(base::Instant now, base::WallTime wall, Actions& actions);

    void run(Operation operation, Completion done, base::Instant now, base::WallTime wall, Actions& actions);
    // Gives back one pin of a lock that an operation pinned (View::pin).
    void unpin(const LockName& name, base::Instant now, base::WallTime wall, Actions& actions);
    // Gives back the pin of an inode's open lock. True: it was the last one of this node, and the inode may have lost
    // its last name meanwhile (then delete_orphan() is run). Another node that takes the last name says so by asking
    // for the open lock; what it told too late, it finds itself (MountOrphans).
    [[nodiscard]] bool close(InodeNumber inode, base::Instant now, base::WallTime wall, Actions& actions);
    // File data was written to the device since the last flush: the next commit flushes, before its record counts if
    // any of it becomes visible by it (README, invariant 7). The inode's lock is pinned, and not given back before.
    void note_data_written(FileData what, InodeNumber inode);
    // Everything that completed before is durable when `done` is called (fsync, sync).
    void commit(Completion done, base::Instant now, base::WallTime wall, Actions& actions);
    void step(Event event, base::Instant now, base::WallTime wall, Actions& actions);
    std::optional<base::Instant> next_deadline() const;

    // May the kernel keep what a reply about this inode says (attributes, entries, pages) until it is invalidated?
    bool may_cache(InodeNumber inode) const;
    // A READ or READDIR of this inode was answered: an invalidation that runs meanwhile must be repeated.
    void note_read_served(InodeNumber inode);
    // A number that changes whenever the inode's lock was given up in between: what was known of its data is void.
    std::uint64_t tenure(InodeNumber inode) const;
    // What is written to the inode now will at once be read on another node. Written stable, it need not be noted, and
    // no flush stands between it and the lock.
    bool reader_follows(InodeNumber inode, base::Instant now) const;

    // Commits, writes everything in place, marks the journal clean, gives every lock back; ends in Stopped.
    void stop(base::Instant now, base::WallTime wall, Actions& actions);

    void check_invariants() const;
    void describe(base::JsonWriter& json, base::Instant now) const;

    const Superblock& superblock() const override;
    std::uint32_t slot() const override;

  private:
    BlockHandle cached_block(BlockNumber number) const override;
    LockMode held(const LockName& name) const override;
    bool refuses_pins(const LockName& name) const override;
    bool open_nowhere(InodeNumber inode) const override;
    bool freed_recently(BlockNumber number) const override;
    AllocationHints* allocation_hints() const override;
    bool journal_has_space() const override;
    bool read_only() const override;

    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace clusterfs
