// Virtual time: what is to happen, in order; of two things at one instant the one that was planned first.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "base/time.hh"
#include "tests/sim/common/random.hh"

namespace sim {

class Scheduler {
  public:
    base::Instant now() const { return now_; }

    void at(base::Instant when, std::function<void()> work) {
        planned_.emplace(std::pair(when < now_ ? now_ : when, count_++), std::move(work));
    }
    void after(base::Duration delay, std::function<void()> work) { at(now_ + delay, std::move(work)); }

    // False: nothing is planned.
    bool step() {
        if (planned_.empty()) return false;
        auto node = planned_.extract(planned_.begin());
        now_ = node.key().first;
        ++steps_;
        node.mapped()();
        return true;
    }
    void run_until(base::Instant end) {
        while (!planned_.empty() && planned_.begin()->first.first <= end) step();
        if (now_ < end) now_ = end;
    }
    std::uint64_t steps() const { return steps_; }

  private:
    base::Instant now_;
    std::map<std::pair<base::Instant, std::uint64_t>, std::function<void()>> planned_;
    std::uint64_t count_ = 0;
    std::uint64_t steps_ = 0;
};

// The last line of a trace: of two runs that took another way anywhere it differs.
inline std::string end_of_trace(const Scheduler& scheduler, Random random) {
    return "the end after " + std::to_string(scheduler.steps()) + " steps, the next draw " +
           std::to_string(random.next());
}

}  // namespace sim
