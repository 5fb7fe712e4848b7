// What clients asked and were told, sector by sector: every read must fit one order of all writes (linearizability),
// and what was stable must survive the loss of both nodes.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/time.hh"
#include "tests/sim/blockrep/disk.hh"

namespace sim {

class History {
  public:
    static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

    void write_begun(std::uint64_t sector, Stamp stamp, base::Instant when);
    void write_answered(std::uint64_t sector, Stamp stamp, base::Instant when, bool stable);
    void read_answered(std::uint64_t sector, Stamp stamp, base::Instant begun, base::Instant when);
    // A flush that began then was answered: what had been answered before is stable.
    void flushed(base::Instant begun);
    // Both nodes lost power: sectors hold these values now, and are judged.
    void restart_from(std::uint64_t sector, Stamp stamp, base::Instant when);

    bool knows(std::uint64_t sector) const { return sector < sectors_.size() && sectors_[sector] != nullptr; }

  private:
    struct Write {
        Stamp stamp = 0;
        std::int64_t begun = 0;
        std::int64_t answered = never;
        bool stable = false;
    };
    struct Read {
        Stamp stamp;
        std::int64_t begun, answered;
        std::int64_t write_begun;  // of what was read
    };
    struct Sector {
        std::vector<Write> writes{{0, 0, 0, true}};  // by stamp: in the order in which they began
        std::vector<Read> reads;
        Write* find(Stamp stamp);
    };
    struct Unstable {
        std::uint64_t sector;
        Stamp stamp;
        std::int64_t answered;
    };
    [[noreturn]] void fail(const std::string& what, std::uint64_t sector, Stamp stamp) const;
    void check(const Sector& state, const Write& source, std::uint64_t sector, const Read& read) const;
    Sector& at(std::uint64_t sector);

    std::vector<std::unique_ptr<Sector>> sectors_;
    std::deque<Unstable> unstable_;  // answered and not flushed, in the order of the answers
};

}  // namespace sim
