// The last events of a process in memory: what a crash report and `dump` show of the recent past.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hh"

namespace base {

// A ring of short lines. One owner, no locking: each core's driver has its own.
class FlightRecorder {
  public:
    explicit FlightRecorder(std::size_t lines = 4096) : ring_(lines) {}

    void record(Instant when, std::string line) {
        ring_[next_ % ring_.size()] = {when, std::move(line)};
        ++next_;
    }

    // Oldest first, one line each, with the time in microseconds in front.
    std::string text() const {
        std::string out;
        const std::uint64_t first = next_ > ring_.size() ? next_ - ring_.size() : 0;
        for (std::uint64_t i = first; i < next_; ++i) {
            const auto& entry = ring_[i % ring_.size()];
            out += std::to_string(entry.when.nanoseconds / 1000) + " " + entry.line + "\n";
        }
        return out;
    }

  private:
    struct Entry {
        Instant when;
        std::string line;
    };
    std::vector<Entry> ring_;
    std::uint64_t next_ = 0;
};

}  // namespace base
