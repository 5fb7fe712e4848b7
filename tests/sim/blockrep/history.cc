#include "tests/sim/blockrep/history.hh"

#include <algorithm>
#include <map>

#include "tests/sim/common/run_seeds.hh"

namespace sim {

void History::fail(const std::string& what, std::uint64_t sector, Stamp stamp) const {
    std::string text = what + ": sector " + std::to_string(sector) + ", stamp " + std::to_string(stamp);
    const auto time = [](std::int64_t at) { return at == never ? "never" : std::to_string(at / 1000); };
    if (knows(sector)) {
        std::map<std::int64_t, std::string> lines;  // by their beginning; the last ones tell the story
        for (const auto& write : sectors_[sector]->writes) {
            lines[write.begun] = "write " + std::to_string(write.stamp) + " " + time(write.begun) + " to " +
                                 time(write.answered) + (write.stable ? " stable" : "");
        }
        for (const auto& read : sectors_[sector]->reads) {
            lines[read.begun] =
                "read " + std::to_string(read.stamp) + " " + time(read.begun) + " to " + time(read.answered);
        }
        while (lines.size() > 16) lines.erase(lines.begin());
        for (const auto& [when, line] : lines) text += "\n  " + line;
    }
    throw Violation(text);
}

History::Sector& History::at(std::uint64_t sector) {
    if (sector >= sectors_.size()) sectors_.resize(sector + 1);
    if (!sectors_[sector]) sectors_[sector] = std::make_unique<Sector>();
    return *sectors_[sector];
}

History::Write* History::Sector::find(Stamp stamp) {
    const auto found = std::lower_bound(writes.begin(), writes.end(), stamp,
                                        [](const Write& write, Stamp wanted) { return write.stamp < wanted; });
    return found != writes.end() && found->stamp == stamp ? &*found : nullptr;
}

void History::write_begun(std::uint64_t sector, Stamp stamp, base::Instant when) {
    at(sector).writes.push_back({stamp, when.nanoseconds});
}

void History::write_answered(std::uint64_t sector, Stamp stamp, base::Instant when, bool stable) {
    auto* write = at(sector).find(stamp);
    write->answered = when.nanoseconds;
    write->stable = stable;
    if (!stable) unstable_.push_back({sector, stamp, when.nanoseconds});
}

void History::flushed(base::Instant begun) {
    for (; !unstable_.empty() && unstable_.front().answered < begun.nanoseconds; unstable_.pop_front()) {
        auto* write = at(unstable_.front().sector).find(unstable_.front().stamp);
        if (write != nullptr) write->stable = true;  // none: from before the loss of both
    }
}

void History::check(const Sector& state, const Write& source, std::uint64_t sector, const Read& read) const {
    if (source.begun > read.answered) fail("read before it was written", sector, read.stamp);
    for (const auto& other : state.writes) {
        if (other.stamp == read.stamp || other.answered == never) continue;
        if (source.answered < other.begun && other.answered < read.begun) {
            fail("stale read: " + std::to_string(other.stamp) + " was written since", sector, read.stamp);
        }
    }
    std::int64_t first_seen = never;
    for (const auto& earlier : state.reads) {
        if (earlier.stamp == read.stamp) first_seen = std::min(first_seen, earlier.answered);
    }
    for (const auto& earlier : state.reads) {
        if (earlier.answered >= read.begun || earlier.stamp == read.stamp) continue;
        if (source.answered < earlier.write_begun) fail("read went back in time", sector, read.stamp);
        if (first_seen < earlier.begun) fail("read new, old, new", sector, read.stamp);
    }
}

void History::read_answered(std::uint64_t sector, Stamp stamp, base::Instant begun, base::Instant when) {
    auto& state = at(sector);
    const auto* source = state.find(stamp);
    if (source == nullptr) fail("read what was never written", sector, stamp);
    const Read read{stamp, begun.nanoseconds, when.nanoseconds, source->begun};
    check(state, *source, sector, read);
    state.reads.push_back(read);
}

void History::restart_from(std::uint64_t sector, Stamp stamp, base::Instant when) {
    auto& state = at(sector);
    const auto* found = state.find(stamp);
    if (found == nullptr) fail("after the loss of both: never written", sector, stamp);
    for (const auto& other : state.writes) {
        if (other.stamp != stamp && other.stable && found->answered < other.begun) {
            fail("after the loss of both: stable " + std::to_string(other.stamp) + " is lost", sector, stamp);
        }
    }
    // Whatever it was, it is the beginning of what follows.
    state.writes.assign(1, {stamp, 0, when.nanoseconds, true});
    state.reads.clear();
}

}  // namespace sim
