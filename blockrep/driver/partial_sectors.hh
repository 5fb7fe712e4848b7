// Requests in units of 512 bytes on a disk that has larger sectors: what a write covers only in part is read first, as
// a disk with emulated sectors ("512e") does it. So what clients may ask does not depend on which node's disk they
// meet.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/error.hh"
#include "blockrep/core/payload.hh"
#include "blockrep/format/range.hh"

namespace blockrep {

class Disk;

// Loop thread only. Owned by the disk that it uses. Writes go one at a time: two that share no byte may share a sector.
// The caller sees to it, as for whole sectors, that requests which share bytes are not in flight together.
class PartialSectors {
  public:
    using Done = std::function<void(base::Result<void>)>;

    PartialSectors(Disk& disk, std::uint32_t sector_size) : disk_(disk), sector_size_(sector_size) {}

    // Whether a request has to come here. Memory counts: for some devices it has to be aligned as the sectors are.
    bool concerns(const Range& range, const std::byte* memory) const {
        return (range.offset | range.length | reinterpret_cast<std::uintptr_t>(memory)) % sector_size_ != 0;
    }
    // Answered once, never from inside the call. When one write has failed, those that wait behind it fail as it did:
    // the disk is given up then, and may take long over each.
    void read(const Range& range, const ReadBuffer& into, Done done);
    void write(const Range& range, const Payload& payload, bool stable, Done done);
    std::size_t unanswered() const { return unanswered_; }

  private:
    struct Piece {
        Range range;
        Payload payload;
    };
    struct Job {
        Range range;
        Payload payload;
        bool stable = false;
        Done done;
        std::vector<Piece> pieces;
        std::size_t running = 0;
        base::Result<void> outcome;
    };

    Range sectors_of(const Range& range) const;
    void start_first();
    void split(Job& job) const;
    void read_partial_sectors();
    void write_pieces();
    // `next` when all that runs has ended well; the job ends where something has not.
    Done joined(void (PartialSectors::*next)());
    void end_first();
    void end(Job job);

    Disk& disk_;
    const std::uint64_t sector_size_;
    std::deque<Job> jobs_;  // the first one runs
    std::size_t unanswered_ = 0;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace blockrep
