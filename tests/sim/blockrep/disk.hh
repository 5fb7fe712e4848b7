// A backing disk: what it has been told is in its cache until a flush; power loss may lose or tear any of that.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "blockrep/core/action.hh"
#include "blockrep/format/metadata.hh"
#include "tests/sim/common/random.hh"

namespace sim {

// The data area is kept as one stamp (the first 8 bytes) per sector; the metadata area byte by byte.
using Stamp = std::uint64_t;

class Disk {
  public:
    Disk(std::uint64_t size, const base::Uuid& device);

    const blockrep::Geometry& geometry() const { return geometry_; }
    std::uint64_t size() const { return size_; }
    const base::Bytes& metadata() const { return metadata_; }
    Stamp read(std::uint64_t sector) const { return current_[sector]; }

    // A request begins and ends; in between a crash may leave any part of it.
    std::uint64_t begin_write(const blockrep::WriteLocal& write);
    std::uint64_t begin_metadata(const blockrep::WriteMetadata& write);
    void finish(std::uint64_t request);
    // It ends with an error: any part of it may be there.
    void fail(std::uint64_t request, Random& random);
    std::uint64_t note_flush() const { return finished_; }  // what was finished when the flush was given
    void flush_up_to(std::uint64_t finished);

    // Power is gone: each unflushed sector holds any value written since it was last stable.
    void lose_power(Random& random);
    // A flush failed: whatever was in the cache is stable or lost. What is under way goes on.
    void lose_cache(Random& random);
    // The process is gone: what it had begun may be there or not, in parts; the cache survives.
    void lose_process(Random& random);

  private:
    struct Request {
        std::uint64_t first_sector = 0;
        std::vector<Stamp> stamps;
        bool stable = false;
        std::uint64_t metadata_offset = 0;
        base::Bytes metadata;
    };
    struct Unflushed {
        Stamp stable = 0;
        std::vector<std::pair<std::uint64_t, Stamp>> since;  // finished writes, by their number
    };
    void apply(const Request& request, Random* tear);
    void put(std::uint64_t sector, Stamp stamp, bool stable);

    std::uint64_t size_;
    blockrep::Geometry geometry_;
    std::vector<Stamp> current_;
    std::map<std::uint64_t, Unflushed> unflushed_;  // by sector
    base::Bytes metadata_;
    std::map<std::uint64_t, Request> begun_;
    std::uint64_t next_ = 1;
    std::uint64_t finished_ = 0;
};

}  // namespace sim
