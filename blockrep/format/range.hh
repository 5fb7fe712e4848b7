// A piece of the device, in bytes. Offsets and lengths are multiples of the sector size.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>

#include "base/block_device.hh"

namespace blockrep {

struct Range {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;

    constexpr std::uint64_t end() const { return offset + length; }
    constexpr bool empty() const { return length == 0; }
    constexpr bool overlaps(const Range& other) const { return offset < other.end() && other.offset < end(); }
    constexpr bool contains(const Range& other) const { return offset <= other.offset && other.end() <= end(); }
    constexpr Range intersection(const Range& other) const {
        const auto from = std::max(offset, other.offset);
        const auto to = std::min(end(), other.end());
        return from < to ? Range{from, to - from} : Range{from, 0};
    }
    constexpr auto operator<=>(const Range&) const = default;
};

// Not empty, in whole sectors, without overflow, and inside a device of `size` bytes. For everything from outside.
constexpr bool is_valid_on(const Range& range, std::uint64_t size) {
    return range.length != 0 && range.offset % base::sector_size == 0 && range.length % base::sector_size == 0 &&
           range.length <= size && range.offset <= size - range.length;
}

}  // namespace blockrep
