// The map blocks of an allocation group: two bits per block.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "clusterfs/format/block_header.hh"
#include "clusterfs/format/geometry.hh"

namespace clusterfs {

enum class BlockState : std::uint8_t {
    free = 0,
    used = 1,
    free_metadata = 2,  // was metadata: a journal may still hold a record of it, so only metadata may go there
    bad = 3
};

struct AllocationMap {
    BlockHeader header;
    std::uint32_t group = 0;
    std::uint32_t index = 0;        // among the group's map blocks
    std::uint64_t first_block = 0;  // that the first two bits stand for
    std::uint32_t block_count = 0;  // that exist; the bits beyond are `used`
    std::uint32_t free_count = 0;
    std::uint32_t free_metadata_count = 0;
    std::uint32_t bad_count = 0;
    std::array<std::byte, 32> reserved{};
    std::array<std::uint8_t, 3968> states{};  // block i: bits 2(i mod 4) of byte i/4

    BlockState state(std::uint32_t i) const { return static_cast<BlockState>(states[i / 4] >> (i % 4 * 2) & 3); }
    // Sets the bits only; the counts are the caller's.
    void set_state(std::uint32_t i, BlockState state) {
        const auto shift = i % 4 * 2;
        states[i / 4] =
            static_cast<std::uint8_t>((states[i / 4] & ~(3U << shift)) | static_cast<unsigned>(state) << shift);
    }
};
static_assert(offsetof(AllocationMap, group) == 64);
static_assert(offsetof(AllocationMap, first_block) == 72);
static_assert(offsetof(AllocationMap, free_count) == 84);
static_assert(offsetof(AllocationMap, states) == 128);
static_assert(sizeof(AllocationMap) == 4096);
static_assert(blocks_per_map == sizeof(AllocationMap::states) * 4);

// What is wrong with the fields, or null. Does not count bits (fsck does).
[[nodiscard]] const char* fault_in(const AllocationMap& map, const Geometry& geometry);

}  // namespace clusterfs
