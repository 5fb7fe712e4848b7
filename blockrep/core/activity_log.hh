// Which extents of 4 MiB may be being written: after a crash only these have to be compared with the peer's. An extent
// must be on disk in the log ("hot") before anything in it is written; README, invariants 3 and 4.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "blockrep/format/metadata.hh"
#include "blockrep/format/range.hh"

namespace blockrep {

class ActivityLog {
  public:
    ActivityLog() = default;
    // `sequence`: of the newer copy on disk, which was number `copy`; the other one is written next.
    ActivityLog(std::uint32_t capacity, std::uint64_t sequence, std::uint64_t copy);

    // All extents of the range are hot: they are held until release(). Else they are noted as wanted.
    bool acquire(const Range& range);
    void release(const Range& range);

    // Something is wanted, no update is under way, and there is room (or an unheld extent to put out).
    bool can_update() const;
    struct Update {
        std::uint64_t copy = 0;              // which of the two on disk
        ActivityLogCopy content;             // the log as it will be
        std::vector<std::uint32_t> put_out;  // their bits must be on disk, and the disk flushed, before the log is
    };
    Update begin_update();
    void finish_update();  // it is on disk

    std::size_t hot() const { return hot_.size(); }

  private:
    struct Extent {
        std::uint32_t holders = 0;
        std::uint64_t last_use = 0;
    };
    void note_use(std::uint32_t extent, Extent& state);

    std::uint32_t capacity_ = 0;
    std::uint64_t sequence_ = 0;
    std::uint64_t copy_ = 0;
    std::uint64_t clock_ = 0;
    std::map<std::uint32_t, Extent> hot_;
    std::set<std::pair<std::uint64_t, std::uint32_t>> unheld_;  // by last use
    std::set<std::uint32_t> wanted_;
    std::set<std::uint32_t> coming_;  // in the update under way
    bool updating_ = false;
};

inline Range range_of_extent(std::uint32_t extent) { return {extent * al_extent_size, al_extent_size}; }

}  // namespace blockrep
