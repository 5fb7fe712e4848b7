// Block 1 and its backups: what the filesystem is. Changed only by mkfs, fsck, tunefs and online growth.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/uuid.hh"
#include "clusterfs/format/block_header.hh"
#include "clusterfs/format/geometry.hh"

namespace clusterfs {

inline constexpr std::uint32_t max_slots = 32;
inline constexpr std::size_t label_size = 64;  // bytes, padded with zeros; may be full without a zero

// An unknown compat bit means nothing to a mount; an unknown ro_compat bit allows only read-only mounts; an unknown
// incompat bit forbids mounting. fsck needs to know all three.
inline constexpr std::uint64_t known_compat = 0;
inline constexpr std::uint64_t known_ro_compat = 0;
inline constexpr std::uint64_t known_incompat = 0;

enum SuperblockState : std::uint32_t {
    state_needs_check = 1U << 0,        // damage was met: fsck is asked for, mounting is still allowed
    state_change_in_progress = 1U << 1  // a tool was interrupted while it changed the layout: fsck before mounting
};

// The parts of a slot that never move; what changes at mounts is in the slot map.
struct SlotLayout {
    std::uint64_t journal_first = 0;  // the journal header's block
    std::uint32_t journal_blocks = 0;
    std::uint32_t reserved = 0;
    std::uint64_t orphan_directory = 0;  // inode
};
static_assert(sizeof(SlotLayout) == 24);

struct Superblock {
    BlockHeader header;  // header.filesystem is the filesystem's uuid
    std::uint64_t block_count = 0;
    std::uint32_t block_size = 0;  // 4096
    std::uint32_t maps_per_group = 0;
    std::uint32_t slot_count = 0;
    std::uint32_t state = 0;  // SuperblockState
    std::uint64_t compat = 0;
    std::uint64_t ro_compat = 0;
    std::uint64_t incompat = 0;
    std::uint64_t root_inode = 0;
    std::uint64_t directory_hash_seed = 0;
    std::int64_t created = 0;           // nanoseconds since 1970
    std::int64_t checked = 0;           // by fsck, last
    std::uint32_t reserve_per_map = 0;  // blocks of each map that only metadata needed for freeing may take
    std::uint32_t reserved_0 = 0;
    std::array<char, label_size> label{};
    std::array<std::byte, 288> reserved_1{};
    std::array<SlotLayout, max_slots> slots{};

    Geometry geometry() const { return {block_count, maps_per_group}; }
    base::Uuid uuid() const { return {header.filesystem}; }
};
static_assert(offsetof(Superblock, block_count) == 64);
static_assert(offsetof(Superblock, slot_count) == 80);
static_assert(offsetof(Superblock, compat) == 88);
static_assert(offsetof(Superblock, root_inode) == 112);
static_assert(offsetof(Superblock, created) == 128);
static_assert(offsetof(Superblock, reserve_per_map) == 144);
static_assert(offsetof(Superblock, label) == 152);
static_assert(offsetof(Superblock, slots) == 504);
static_assert(sizeof(Superblock) == 1272);

// What is wrong with the fields (the header was checked before), or null. Does not judge feature bits.
[[nodiscard]] const char* fault_in(const Superblock& superblock, std::uint64_t device_blocks);

}  // namespace clusterfs
