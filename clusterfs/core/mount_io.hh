// How the parts of a mount do things: actions go out with a ticket, and what was to follow runs when the event with
// that ticket comes in. Also the clock readings of the current step and the filesystem's Lamport clock.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "clusterfs/core/mount.hh"

namespace clusterfs {

class MountIo {
  public:
    using Blocks = std::vector<std::shared_ptr<Block>>;
    using ReadDone = std::function<void(base::Result<Blocks>)>;
    using Done = std::function<void(base::Result<void>)>;
    using LockDone = std::function<void(bool granted)>;

    explicit MountIo(std::uint64_t device_blocks) : device_blocks_(device_blocks) {}
    MountIo(const MountIo&) = delete;
    MountIo& operator=(const MountIo&) = delete;

    // Every call into the mount begins here: the time it is, and where actions go until the call returns.
    void enter(base::Instant now, base::WallTime wall, Actions& actions) {
        now_ = now;
        wall_ = wall;
        actions_ = &actions;
    }
    base::Instant now() const { return now_; }
    base::WallTime wall() const { return wall_; }
    Actions& actions() { return *actions_; }
    Ticket new_ticket() { return ++last_ticket_; }

    // Ranges outside the device are refused without asking it.
    void read(BlockNumber first, std::uint32_t count, ReadDone done);
    void write(BlockNumber first, std::vector<BlockHandle> blocks, bool stable, Done done);
    void flush(Done done);
    // Slot locks and the slot map's: always asked for in recovery, so that a death in between holds up nobody.
    void request_lock(const LockName& name, LockMode mode, bool no_queue, LockDone done);
    void release_lock(const LockName& name) { actions_->push_back(ReleaseLock{name, LockMode::none}); }

    // Each returns false if the event belongs to somebody else.
    bool on_read(BlocksRead& event);
    bool on_written(BlocksWritten& event);
    bool on_flushed(DeviceFlushed& event);
    bool on_lock(const LockName& name, bool granted);
    bool busy() const { return !reads_.empty() || !dones_.empty(); }

    std::uint64_t device_blocks() const { return device_blocks_; }
    // The largest sequence seen or given; a new transaction's is one more.
    std::uint64_t clock() const { return clock_; }
    void saw_sequence(std::uint64_t sequence) {
        if (sequence <= largest_sequence) clock_ = std::max(clock_, sequence);
    }
    std::uint64_t next_sequence() { return ++clock_; }

  private:
    bool inside_device(BlockNumber first, std::uint64_t count) const {
        return first <= device_blocks_ && count <= device_blocks_ - first;
    }

    std::uint64_t device_blocks_;
    base::Instant now_;
    base::WallTime wall_;
    Actions* actions_ = nullptr;
    Ticket last_ticket_ = 0;
    std::uint64_t clock_ = 0;
    std::map<Ticket, ReadDone> reads_;
    std::map<Ticket, Done> dones_;
    std::map<LockName, LockDone> locks_;
};

}  // namespace clusterfs
