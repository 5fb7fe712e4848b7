#include "tests/sim/blockrep/history.hh"

#include "tests/sim/common/run_seeds.hh"

namespace sim {

void History::fail(const std::string& what, std::uint64_t sector, Stamp stamp) const {
    std::string text = what + ": sector " + std::to_string(sector) + ", stamp " + std::to_string(stamp);
    const auto found = sectors_.find(sector);
    const auto time = [](std::int64_t at) { return at == never ? "never" : std::to_string(at / 1000); };
    if (found != sectors_.end()) {
        std::map<std::int64_t, std::string> lines;  // by their beginning; the last ones tell the story
        for (const auto& [written, write] : found->second.writes) {
            lines[write.begun] = "write " + std::to_string(written) + " " + time(write.begun) + " to " +
                                 time(write.answered) + (write.stable ? " stable" : "");
        }
        for (const auto& read : found->second.reads) {
            lines[read.begun] =
                "read " + std::to_string(read.stamp) + " " + time(read.begun) + " to " + time(read.answered);
        }
        while (lines.size() > 16) lines.erase(lines.begin());
        for (const auto& [when, line] : lines) text += "\n  " + line;
    }
    throw Violation(text);
}

void History::write_begun(std::uint64_t sector, Stamp stamp, base::Instant when) {
    sectors_[sector].writes[stamp] = {when.nanoseconds};
}

void History::write_answered(std::uint64_t sector, Stamp stamp, base::Instant when, bool stable) {
    auto& write = sectors_[sector].writes.at(stamp);
    write.answered = when.nanoseconds;
    write.stable = stable;
    if (!stable) unstable_.push_back({sector, stamp});
}

void History::flushed(base::Instant begun) {
    std::erase_if(unstable_, [&](const auto& entry) {
        auto& writes = sectors_[entry.first].writes;
        const auto found = writes.find(entry.second);
        if (found == writes.end()) return true;  // from before the loss of both
        if (found->second.answered >= begun.nanoseconds) return false;
        found->second.stable = true;
        return true;
    });
}

void History::check(const Sector& state, std::uint64_t sector, const Read& read) const {
    const auto found = state.writes.find(read.stamp);
    if (found == state.writes.end()) fail("read what was never written", sector, read.stamp);
    const auto& source = found->second;
    if (source.begun > read.answered) fail("read before it was written", sector, read.stamp);
    for (const auto& [stamp, other] : state.writes) {
        if (stamp == read.stamp || other.answered == never) continue;
        if (source.answered < other.begun && other.answered < read.begun) {
            fail("stale read: " + std::to_string(stamp) + " was written since", sector, read.stamp);
        }
    }
    for (const auto& earlier : state.reads) {
        if (earlier.answered >= read.begun || earlier.stamp == read.stamp) continue;
        const auto& seen = state.writes.at(earlier.stamp);
        if (source.answered < seen.begun) fail("read went back in time", sector, read.stamp);
        for (const auto& first : state.reads) {
            if (first.stamp == read.stamp && first.answered < earlier.begun) {
                fail("read new, old, new", sector, read.stamp);
            }
        }
    }
}

void History::read_answered(std::uint64_t sector, Stamp stamp, base::Instant begun, base::Instant when) {
    auto& state = sectors_[sector];
    const Read read{stamp, begun.nanoseconds, when.nanoseconds};
    check(state, sector, read);
    state.reads.push_back(read);
}

void History::restart_from(std::uint64_t sector, Stamp stamp, base::Instant when) {
    auto& state = sectors_[sector];
    const auto found = state.writes.find(stamp);
    if (found == state.writes.end()) fail("after the loss of both: never written", sector, stamp);
    for (const auto& [other_stamp, other] : state.writes) {
        if (other_stamp != stamp && other.stable && found->second.answered < other.begun) {
            fail("after the loss of both: stable " + std::to_string(other_stamp) + " is lost", sector, stamp);
        }
    }
    // Whatever it was, it is the beginning of what follows.
    state = Sector{};
    state.writes.clear();
    state.writes[stamp] = {0, when.nanoseconds, true};
}

}  // namespace sim
