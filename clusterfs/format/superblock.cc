#include "clusterfs/format/superblock.hh"

#include <bit>

#include "clusterfs/format/journal.hh"

namespace clusterfs {
namespace {

const char* fault_in(const SlotLayout& slot, std::uint64_t block_count) {
    if (slot.journal_blocks < smallest_journal_blocks || slot.journal_blocks > largest_journal_blocks) {
        return "the size of a journal is out of range";
    }
    if (slot.journal_first >= block_count || block_count - slot.journal_first < slot.journal_blocks) {
        return "a journal lies outside the filesystem";
    }
    if (slot.orphan_directory == 0 || slot.orphan_directory >= block_count) {
        return "an orphan directory lies outside the filesystem";
    }
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
    if (superblock.root_inode == 0 || superblock.root_inode >= blocks) return "the root lies outside the filesystem";
    if (superblock.reserve_per_map > blocks_per_map / 8) return "the reserve is out of range";
    for (std::uint32_t slot = 0; slot < superblock.slot_count; ++slot) {
        if (const auto* fault = fault_in(superblock.slots[slot], blocks)) return fault;
    }
    return nullptr;
}

}  // namespace clusterfs
