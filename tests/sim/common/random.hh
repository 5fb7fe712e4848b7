// The simulators' randomness: one seed, the same sequence on every machine and with every library.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.hh"
#include "base/uuid.hh"

namespace sim {

// SplitMix64.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15ULL;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    // 0 … limit-1; limit must not be 0.
    std::uint64_t below(std::uint64_t limit) { return next() % limit; }
    // Both ends included.
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
    }
    base::Duration between(base::Duration low, base::Duration high) {
        return {between(low.nanoseconds, high.nanoseconds)};
    }
    bool one_in(std::uint64_t n) { return below(n) == 0; }
    bool percent(std::uint64_t chance) { return below(100) < chance; }
    template <typename T>
    const T& pick(const std::vector<T>& from) {
        return from[below(from.size())];
    }
    base::Uuid uuid() {
        base::Uuid out;
        for (auto& byte : out.bytes) byte = static_cast<std::byte>(next());
        return out;
    }
    // A generator of its own for a part, so that what the part draws does not shift what others draw.
    Random fork() { return Random(next()); }

  private:
    std::uint64_t state_;
};

}  // namespace sim
