// Time as the cores see it: a number that the driver or the simulator hands in. No clock is read here.
#pragma once

#include <compare>
#include <cstdint>

namespace base {

// A length of time in nanoseconds; may be negative.
struct Duration {
    std::int64_t nanoseconds = 0;

    static constexpr Duration microseconds(std::int64_t n) { return {n * 1'000}; }
    static constexpr Duration milliseconds(std::int64_t n) { return {n * 1'000'000}; }
    static constexpr Duration seconds(std::int64_t n) { return {n * 1'000'000'000}; }
    constexpr std::int64_t to_milliseconds() const { return nanoseconds / 1'000'000; }

    constexpr auto operator<=>(const Duration&) const = default;
    constexpr Duration operator+(Duration other) const { return {nanoseconds + other.nanoseconds}; }
    constexpr Duration operator-(Duration other) const { return {nanoseconds - other.nanoseconds}; }
    constexpr Duration operator*(std::int64_t factor) const { return {nanoseconds * factor}; }
};

// A point on a monotonic clock (CLOCK_MONOTONIC in daemons, virtual in the simulator). Comparable on one node only.
struct Instant {
    std::int64_t nanoseconds = 0;

    constexpr auto operator<=>(const Instant&) const = default;
    constexpr Instant operator+(Duration d) const { return {nanoseconds + d.nanoseconds}; }
    constexpr Duration operator-(Instant other) const { return {nanoseconds - other.nanoseconds}; }
};

// Wall-clock time as stored in inodes and histories: nanoseconds since 1970-01-01 UTC.
struct WallTime {
    std::int64_t nanoseconds = 0;
    constexpr auto operator<=>(const WallTime&) const = default;
};

}  // namespace base
