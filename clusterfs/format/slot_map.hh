// Block 2: which node is mounted in which slot. Covered by the lock S0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "clusterfs/format/block_header.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs {

enum class SlotState : std::uint32_t {
    free = 0,     // journal is clean
    mounted = 1,  // by the named life of a node; if that life is over, the journal must be replayed
};

struct SlotEntry {
    SlotState state = SlotState::free;
    std::uint32_t node = 0;                   // nodeid; of the last owner where free
    std::array<std::byte, 16> incarnation{};  // that node's life
    std::int64_t mounted_at = 0;              // nanoseconds since 1970
    std::uint64_t mounts = 0;                 // how often this slot was taken
    std::array<std::byte, 24> reserved{};
};
static_assert(sizeof(SlotEntry) == 64);
static_assert(offsetof(SlotEntry, incarnation) == 8);
static_assert(offsetof(SlotEntry, mounted_at) == 24);

struct SlotMap {
    BlockHeader header;
    std::uint32_t slot_count = 0;  // as in the superblock
    std::uint32_t reserved_0 = 0;
    std::array<std::byte, 56> reserved_1{};
    std::array<SlotEntry, max_slots> slots{};
};
static_assert(offsetof(SlotMap, slot_count) == 64);
static_assert(offsetof(SlotMap, slots) == 128);
static_assert(sizeof(SlotMap) == 128 + 64 * max_slots);

// What is wrong with the fields, or null.
[[nodiscard]] const char* fault_in(const SlotMap& map, std::uint32_t slot_count);

}  // namespace clusterfs
