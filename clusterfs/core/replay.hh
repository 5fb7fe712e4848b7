// Applies what a journal holds to the places where it belongs. Done by a node for its own slot when it mounts, and for
// a dead node's slot by a survivor that has got the slot's lock.
//
// A block is written only where the one on disk is older, or is no whole block of that number (a torn in-place write).
// So several journals may be replayed in any order, and more than once. The device is flushed before the first of them,
// and again before the journal is marked clean.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "clusterfs/core/journal_record.hh"
#include "clusterfs/core/mount_io.hh"

namespace clusterfs {

struct ReplaySummary {
    JournalState state;  // of the journal now: clean
    bool was_dirty = false;
    std::uint64_t records = 0;
    std::uint64_t blocks = 0;   // images in them, the last of each number
    std::uint64_t written = 0;  // that were newer than the disk's
};

// Starts at once; keeps itself alive until `done` was called.
class Replay : public std::enable_shared_from_this<Replay> {
  public:
    using Done = std::function<void(base::Result<ReplaySummary>)>;
    // Blocks that this node has under a lock: the dead node had given them back, in place.
    using Ours = std::function<bool(BlockNumber)>;

    static void run(MountIo& io, const JournalRegion& region, std::uint64_t filesystem_blocks, Ours ours, Done done);

  private:
    using Images = std::map<BlockNumber, std::shared_ptr<Block>>;

    Replay(MountIo& io, const JournalRegion& region, std::uint64_t filesystem_blocks, Ours ours, Done done)
        : io_(io),
          region_(region),
          filesystem_blocks_(filesystem_blocks),
          ours_(std::move(ours)),
          done_(std::move(done)) {}

    void read_header();
    void read_ring();
    void collect();
    void compare_next();
    void read_run(BlockNumber first, std::uint32_t count, int reads);
    bool may_be_torn(BlockNumber first, const MountIo::Blocks& on_disk) const;
    void compare(BlockNumber first, const MountIo::Blocks& on_disk);
    void write_newer(std::vector<std::shared_ptr<Block>> newer);
    void finish();

    MountIo& io_;
    JournalRegion region_;
    std::uint64_t filesystem_blocks_;
    Ours ours_;
    Done done_;
    ReplaySummary summary_;
    MountIo::Blocks ring_;
    Images images_;
    Images::iterator next_;
    std::size_t writes_ = 0;
    std::optional<base::Error> error_;
};

}  // namespace clusterfs
