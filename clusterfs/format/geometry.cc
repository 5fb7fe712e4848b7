#include "clusterfs/format/geometry.hh"

#include <algorithm>

namespace clusterfs {

std::uint64_t Geometry::blocks_in_group(std::uint64_t group) const {
    return std::min(blocks_per_group(), block_count - first_of_group(group));
}

std::uint32_t Geometry::maps_in_group(std::uint64_t group) const {
    return static_cast<std::uint32_t>((blocks_in_group(group) + blocks_per_map - 1) / blocks_per_map);
}

std::uint32_t Geometry::blocks_in_map(std::uint64_t group, std::uint32_t index) const {
    const auto before = std::uint64_t{index} * blocks_per_map;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(blocks_per_map, blocks_in_group(group) - before));
}

bool Geometry::is_fixed(std::uint64_t block) const {
    const auto group = group_of(block);
    return block - first_of_group(group) < group_reserved_blocks + maps_in_group(group) || block == block_count - 1;
}

std::vector<std::uint64_t> possible_backup_superblocks(std::uint64_t device_blocks) {
    std::vector<std::uint64_t> places;
    for (std::uint64_t first = blocks_per_map; first + 1 < device_blocks; first *= 2) places.push_back(first + 1);
    if (device_blocks > superblock_number + 1) places.push_back(device_blocks - 1);
    return places;
}

std::vector<std::uint64_t> backup_superblocks(const Geometry& geometry) {
    auto places = possible_backup_superblocks(geometry.block_count);
    const auto inside_a_group = [&](std::uint64_t place) {
        return place != geometry.block_count - 1 && (place - superblock_number) % geometry.blocks_per_group() != 0;
    };
    std::erase_if(places, inside_a_group);
    return places;
}

}  // namespace clusterfs
