#include "clusterfs/format/allocation_group.hh"

namespace clusterfs {

const char* fault_in(const AllocationMap& map, const Geometry& geometry) {
    if (map.header.magic != BlockType::allocation_map) return "not an allocation map";
    if (map.group >= geometry.group_count() || map.index >= geometry.maps_in_group(map.group)) {
        return "there is no such group";
    }
    if (map.header.number != geometry.map_block(map.group, map.index)) return "it maps another group";
    if (map.first_block != geometry.first_of_map(map.group, map.index)) return "its first block is wrong";
    if (map.block_count != geometry.blocks_in_map(map.group, map.index)) return "its number of blocks is wrong";
    const auto counted = std::uint64_t{map.free_count} + map.free_metadata_count + map.bad_count;
    return counted > map.block_count ? "its counts are larger than the group" : nullptr;
}

}  // namespace clusterfs
