#include "clusterfs/core/format_filesystem.hh"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/ensure.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/core/inode.hh"
#include "clusterfs/format/allocation_group.hh"
#include "clusterfs/format/block_seal.hh"
#include "clusterfs/format/journal.hh"
#include "clusterfs/format/slot_map.hh"

namespace clusterfs {
namespace {

constexpr std::uint32_t reserve_per_map = 32;
constexpr std::uint64_t wanted_groups = 8;
constexpr std::size_t blocks_at_once = 256;

// A sixteenth of the device for all journals, between the smallest and 32 MiB each.
std::uint32_t chosen_journal_blocks(std::uint64_t blocks, std::uint32_t slots) {
    const auto share = blocks / 16 / slots;
    return static_cast<std::uint32_t>(
        std::clamp<std::uint64_t>(share, smallest_journal_blocks, default_journal_blocks));
}

// Large groups where the device is large, but several for every slot.
std::uint32_t chosen_maps_per_group(std::uint64_t blocks) {
    std::uint32_t maps = max_maps_per_group;
    while (maps > 1 && blocks / (std::uint64_t{maps} * blocks_per_map) < wanted_groups) maps /= 2;
    return maps;
}

// A tail too short for a group's fixed blocks and something to use is left out.
std::uint64_t usable_blocks(std::uint64_t blocks, std::uint32_t maps_per_group) {
    const auto tail = blocks % (std::uint64_t{maps_per_group} * blocks_per_map);
    return tail < 64 ? blocks - tail : blocks;
}

BlockHeader header_for(const Superblock& superblock, BlockType type, BlockNumber number) {
    BlockHeader header;
    header.magic = type;
    header.version = 1;
    header.filesystem = superblock.header.filesystem;
    header.number = number;
    return header;
}

base::Result<void> write_sealed(SynchronousDevice& device, Block& block, std::uint64_t sequence) {
    seal(block.bytes, sequence);
    return device.write(block.as<BlockHeader>().number, {&block, 1});
}

// An empty map: fixed blocks and those that do not exist are used.
void fill_map(AllocationMap& map, const Superblock& superblock, std::uint64_t group, std::uint32_t index) {
    const auto geometry = superblock.geometry();
    map.header = header_for(superblock, BlockType::allocation_map, geometry.map_block(group, index));
    map.group = static_cast<std::uint32_t>(group);
    map.index = index;
    map.first_block = geometry.first_of_map(group, index);
    map.block_count = geometry.blocks_in_map(group, index);
    map.free_count = map.block_count;
    for (std::uint32_t i = 0; i < blocks_per_map; ++i) {
        const bool exists = i < map.block_count;
        if (exists && !geometry.is_fixed(map.first_block + i)) continue;
        map.set_state(i, BlockState::used);
        if (exists) --map.free_count;
    }
}

base::Result<void> write_maps(SynchronousDevice& device, const Superblock& superblock, const FormatOptions& options) {
    const auto geometry = superblock.geometry();
    for (std::uint64_t group = 0; group < geometry.group_count(); ++group) {
        std::vector<Block> maps(geometry.maps_in_group(group));
        for (std::uint32_t index = 0; index < maps.size(); ++index) {
            fill_map(maps[index].as<AllocationMap>(), superblock, group, index);
            seal(maps[index].bytes, 1);
        }
        BASE_TRY(device.write(geometry.map_block(group, 0), maps));
        if (options.progress) options.progress(group + 1, geometry.group_count());
    }
    return {};
}

// Hands out runs of an empty filesystem, one behind the other in each group.
class JournalPlaces {
  public:
    explicit JournalPlaces(const Geometry& geometry) : geometry_(geometry), taken_(geometry.group_count(), 0) {}

    // In a group that the slot prefers, else in the next one where it fits.
    base::Result<BlockNumber> next(std::uint32_t slot, std::uint32_t blocks) {
        for (std::uint64_t i = 0; i < taken_.size(); ++i) {
            const auto group = (slot + i) % taken_.size();
            const auto from = group_reserved_blocks + geometry_.maps_in_group(group) + front + taken_[group];
            // The last block of all is a backup superblock.
            if (from + blocks + 1 > geometry_.blocks_in_group(group)) continue;
            taken_[group] += blocks;
            return geometry_.first_of_group(group) + from;
        }
        return base::failure(std::errc::no_space_on_device, "no room for a journal in one piece");
    }

  private:
    static constexpr std::uint64_t front = 64;  // for the first inodes

    Geometry geometry_;
    std::vector<std::uint64_t> taken_;
};

base::Result<void> write_journal(SynchronousDevice& device, const Superblock& superblock, std::uint32_t slot) {
    const auto& layout = superblock.slots[slot];
    // Old records of an earlier filesystem are of another uuid, but zeros let nobody wonder.
    std::vector<Block> zeros(blocks_at_once);
    for (std::uint32_t done = 0; done < layout.journal_blocks;) {
        const auto count = std::min<std::uint32_t>(blocks_at_once, layout.journal_blocks - done);
        BASE_TRY(device.write(layout.journal_first + done, std::span(zeros).first(count)));
        done += count;
    }
    Block block;
    auto& journal = block.as<JournalHeader>();
    journal.header = header_for(superblock, BlockType::journal_header, layout.journal_first);
    journal.slot = slot;
    journal.block_count = layout.journal_blocks;
    journal.tail_record = 1;
    journal.epoch = 1;
    return write_sealed(device, block, 1);
}

base::Result<void> write_slot_map(SynchronousDevice& device, const Superblock& superblock) {
    Block block;
    auto& map = block.as<SlotMap>();
    map.header = header_for(superblock, BlockType::slot_map, slot_map_number);
    map.slot_count = superblock.slot_count;
    return write_sealed(device, block, 1);
}

base::Result<InodeNumber> make_directory(View& view, const NewInode& attributes, std::uint32_t flags) {
    BASE_ASSIGN(const auto number, allocate_inode(view, attributes.goal));
    auto wanted = attributes;
    wanted.parent = number;
    BASE_ASSIGN(auto* inode, create_inode(view, number, wanted));
    inode->flags = flags;
    return number;
}

base::Result<void> make_root(WholeDevice& whole, const FormatOptions& options) {
    NewInode root{mode_directory | 0755, options.root_uid, options.root_gid, 0, 0, 0};
    return whole.run(
        [&](View& view) -> base::Result<void> {
            BASE_ASSIGN(whole.superblock().root_inode, make_directory(view, root, 0));
            return {};
        },
        options.now);
}

base::Result<void> claim_journals(WholeDevice& whole, const FormatPlan& plan, base::WallTime now) {
    JournalPlaces places(plan.geometry);
    for (std::uint32_t slot = 0; slot < plan.slots; ++slot) {
        BASE_ASSIGN(const auto first, places.next(slot, plan.journal_blocks));
        whole.superblock().slots[slot].journal_first = first;
        whole.superblock().slots[slot].journal_blocks = plan.journal_blocks;
        BASE_TRY(whole.run([&](View& view) { return claim(view, {first, plan.journal_blocks}); }, now));
    }
    return {};
}

// The slot's orphan directory, in its journal's group, and the journal.
base::Result<void> make_slot(WholeDevice& whole, std::uint32_t slot, const FormatOptions& options) {
    whole.set_slot(slot);
    auto& layout = whole.superblock().slots[slot];
    const auto geometry = whole.superblock().geometry();
    NewInode orphans{mode_directory | 0700, 0, 0, 0, 0, 0};
    orphans.goal = geometry.first_of_group(geometry.group_of(layout.journal_first));
    const auto make = [&](View& view) -> base::Result<void> {
        BASE_ASSIGN(layout.orphan_directory, make_directory(view, orphans, inode_system));
        return {};
    };
    BASE_TRY(whole.run(make, options.now));
    return write_journal(whole.device(), whole.superblock(), slot);
}

base::Result<void> wipe_old(SynchronousDevice& device) {
    const Block zeros;
    for (const auto place : possible_backup_superblocks(device.block_count())) {
        auto old = read_superblock(device, place);
        if (!old && old.error().code == make_error_code(Errc::not_a_filesystem)) continue;
        BASE_TRY(device.write(place, {&zeros, 1}));
    }
    for (BlockNumber number = 0; number < group_reserved_blocks; ++number) {
        BASE_TRY(device.write(number, {&zeros, 1}));
    }
    return device.flush();
}

Superblock new_superblock(const FormatPlan& plan, const FormatOptions& options) {
    Superblock superblock;
    superblock.header.magic = BlockType::superblock;
    superblock.header.version = 1;
    superblock.header.filesystem = options.uuid.bytes;
    superblock.block_count = plan.geometry.block_count;
    superblock.block_size = block_size;
    superblock.maps_per_group = plan.geometry.maps_per_group;
    superblock.slot_count = plan.slots;
    superblock.directory_hash_seed = options.directory_hash_seed;
    superblock.created = options.now.nanoseconds;
    superblock.checked = options.now.nanoseconds;
    std::memcpy(superblock.label.data(), options.label.data(), options.label.size());
    return superblock;
}

}  // namespace

base::Result<FormatPlan> plan_format(const FormatOptions& options, std::uint64_t device_blocks) {
    auto blocks = options.block_count == 0 ? device_blocks : options.block_count;
    blocks = std::min(blocks, largest_filesystem_blocks);
    if (blocks > device_blocks) return base::failure(std::errc::invalid_argument, "the device is smaller than that");
    if (options.label.size() > label_size) return base::failure(std::errc::invalid_argument, "the label is too long");
    if (options.slots == 0 || options.slots > max_slots) {
        return base::failure(std::errc::invalid_argument, "the number of slots must be 1 to 32");
    }
    FormatPlan plan;
    plan.slots = options.slots;
    plan.geometry.maps_per_group = chosen_maps_per_group(blocks);
    plan.geometry.block_count = usable_blocks(blocks, plan.geometry.maps_per_group);
    plan.journal_blocks =
        options.journal_blocks != 0 ? options.journal_blocks : chosen_journal_blocks(blocks, options.slots);
    if (plan.journal_blocks < smallest_journal_blocks || plan.journal_blocks > largest_journal_blocks) {
        return base::failure(std::errc::invalid_argument, "a journal must have 4 MiB to 4 GiB");
    }
    const auto journals = std::uint64_t{plan.journal_blocks} * plan.slots;
    if (blocks < smallest_filesystem_blocks || journals > blocks / 2) {
        return base::failure(std::errc::no_space_on_device,
                             "the device is too small for the journals of " + std::to_string(plan.slots) + " nodes");
    }
    // A journal lies in one piece between the fixed blocks of two groups.
    JournalPlaces places(plan.geometry);
    for (std::uint32_t slot = 0; slot < plan.slots; ++slot) {
        BASE_TRY(places.next(slot, plan.journal_blocks));
    }
    return plan;
}

// The first one last: where it is valid, so are its backups.
base::Result<void> write_superblocks(SynchronousDevice& device, const Superblock& superblock, std::uint64_t sequence) {
    const auto write = [&](BlockNumber place) {
        Block block;
        block.as<Superblock>() = superblock;
        block.as<Superblock>().header.number = place;
        return write_sealed(device, block, sequence);
    };
    for (const auto place : backup_superblocks(superblock.geometry())) BASE_TRY(write(place));
    BASE_TRY(device.flush());
    BASE_TRY(write(superblock_number));
    return device.flush();
}

base::Result<Superblock> format_filesystem(SynchronousDevice& device, const FormatOptions& options) {
    BASE_ASSIGN(const auto plan, plan_format(options, device.block_count()));
    BASE_TRY(wipe_old(device));
    WholeDevice whole(device, new_superblock(plan, options));
    BASE_TRY(write_maps(device, whole.superblock(), options));
    BASE_TRY(claim_journals(whole, plan, options.now));
    BASE_TRY(make_root(whole, options));
    for (std::uint32_t slot = 0; slot < plan.slots; ++slot) BASE_TRY(make_slot(whole, slot, options));
    whole.superblock().reserve_per_map = reserve_per_map;
    BASE_TRY(write_slot_map(device, whole.superblock()));
    BASE_TRY(whole.flush());
    BASE_TRY(write_superblocks(device, whole.superblock(), whole.highest_sequence() + 1));
    return whole.superblock();
}

}  // namespace clusterfs
