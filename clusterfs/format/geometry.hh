// Where the fixed structures of a filesystem lie. All arithmetic on places is here.
//
// The device is cut into allocation groups of equal size (the last may be shorter). Each begins with four reserved
// blocks, followed by the group's map blocks. The reserved blocks hold, in group 0, the superblock (1) and the slot map
// (2); in every group whose first block is 15872·2^k, a backup superblock (1). One more backup is the device's last
// block. So the backups can be found without knowing how large the groups are.
#pragma once

#include <cstdint>
#include <vector>

namespace clusterfs {

inline constexpr std::uint32_t blocks_per_map = 15872;  // 2 bits for each block in 3968 bytes
inline constexpr std::uint32_t group_reserved_blocks = 4;
inline constexpr std::uint32_t max_maps_per_group = 16;  // a power of two, as every value between 1 and it

inline constexpr std::uint64_t superblock_number = 1;
inline constexpr std::uint64_t slot_map_number = 2;

inline constexpr std::uint64_t smallest_filesystem_blocks = 4096;  // 16 MiB
inline constexpr std::uint64_t largest_filesystem_blocks = std::uint64_t{1} << 48;

// The map blocks before the last of each group's are full; the map of a group's tail covers what the device has.
struct Geometry {
    std::uint64_t block_count = 0;
    std::uint32_t maps_per_group = 1;

    std::uint64_t blocks_per_group() const { return std::uint64_t{maps_per_group} * blocks_per_map; }
    std::uint64_t group_count() const { return (block_count + blocks_per_group() - 1) / blocks_per_group(); }
    std::uint64_t group_of(std::uint64_t block) const { return block / blocks_per_group(); }
    std::uint64_t first_of_group(std::uint64_t group) const { return group * blocks_per_group(); }
    std::uint64_t blocks_in_group(std::uint64_t group) const;
    std::uint32_t maps_in_group(std::uint64_t group) const;  // only as many as the group's blocks need

    std::uint64_t map_block(std::uint64_t group, std::uint32_t index) const {
        return first_of_group(group) + group_reserved_blocks + index;
    }
    std::uint64_t first_of_map(std::uint64_t group, std::uint32_t index) const {
        return first_of_group(group) + std::uint64_t{index} * blocks_per_map;
    }
    std::uint32_t blocks_in_map(std::uint64_t group, std::uint32_t index) const;
    std::uint32_t map_index_of(std::uint64_t block) const {
        return static_cast<std::uint32_t>(block % blocks_per_group() / blocks_per_map);
    }
    // Reserved blocks, map blocks and the backup at the device's end: never handed out.
    bool is_fixed(std::uint64_t block) const;
    bool operator==(const Geometry&) const = default;
};

// Where backups may lie on a device of that many blocks, whatever its group size; in rising order.
std::vector<std::uint64_t> possible_backup_superblocks(std::uint64_t device_blocks);
// Where they do lie.
std::vector<std::uint64_t> backup_superblocks(const Geometry& geometry);

}  // namespace clusterfs
