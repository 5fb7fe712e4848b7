#include "clusterfs/format/superblock.hh"

#include <bit>

#include "clusterfs/format/journal.hh"

namespace clusterfs {
namespace {

bool may_be_inode(std::uint64_t block, const Geometry& geometry) {
    return block != 0 && block < geometry.block_count && !geometry.is_fixed(block);
}

const char* fault_in(const SlotLayout& slot, const Geometry& geometry) {
    const auto block_count = geometry.block_count;
    if (slot.journal_blocks < smallest_journal_blocks || slot.journal_blocks > largest_journal_blocks) {
        return "the size of a journal is out of range";
    }
    if (slot.journal_first >= block_count || block_count - slot.journal_first < slot.journal_blocks) {
        return "a journal lies outside the filesystem";
    }
    if (geometry.is_fixed(slot.journal_first)) return "a journal lies over fixed blocks";
    if (!may_be_inode(slot.orphan_directory, geometry)) return "an orphan directory is no possible inode";
    return nullptr;
}

}  // namespace

const char* fault_in(const Superblock& superblock, std::uint64_t device_blocks) {
    const auto blocks = superblock.block_count;
    if (superblock.header.magic != BlockType::superblock) return "not a superblock";
    if (superblock.block_size != 4096) return "the block size is not 4096";
    if (blocks < smallest_filesystem_blocks || blocks > largest_filesystem_blocks) return "the size is out of range";
    if (blocks > device_blocks) return "the filesystem is larger than the device";
    const auto maps = superblock.maps_per_group;
    if (maps == 0 || maps > max_maps_per_group || !std::has_single_bit(maps)) return "the group size is out of range";
    if (superblock.slot_count == 0 || superblock.slot_count > max_slots) return "the number of slots is out of range";
    if (!may_be_inode(superblock.root_inode, superblock.geometry())) return "the root is no possible inode";
    if (superblock.reserve_per_map > blocks_per_map / 8) return "the reserve is out of range";
    for (std::uint32_t slot = 0; slot < superblock.slot_count; ++slot) {
        if (const auto* fault = fault_in(superblock.slots[slot], superblock.geometry())) return fault;
    }
    return nullptr;
}

}  // namespace clusterfs
