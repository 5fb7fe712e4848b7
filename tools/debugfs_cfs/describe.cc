#include "tools/debugfs_cfs/describe.hh"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "clusterfs/format/block_seal.hh"

namespace debugfs_cfs {

using namespace clusterfs;

namespace {

std::string uuid_text(const std::array<std::byte, 16>& bytes) { return base::Uuid{bytes}.text(); }

std::string hexadecimal(std::uint64_t number) {
    char text[20];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
    return text;
}

const char* state_text(BlockState state) {
    constexpr const char* names[] = {"free", "used", "free metadata", "bad"};
    return names[static_cast<unsigned>(state)];
}

void describe_slot_layout(base::JsonWriter& out, const SlotLayout& slot, std::uint32_t number) {
    out.begin_object().member("slot", number).member("journal_first", slot.journal_first);
    out.member("journal_blocks", slot.journal_blocks).member("orphan_directory", slot.orphan_directory).end_object();
}

}  // namespace

std::string time_text(std::int64_t nanoseconds) {
    const std::time_t seconds = static_cast<std::time_t>(nanoseconds / 1'000'000'000);
    std::tm parts{};
    char text[40];
    if (::gmtime_r(&seconds, &parts) == nullptr) return std::to_string(nanoseconds);
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

void describe(base::JsonWriter& out, const Superblock& superblock) {
    const auto& label = superblock.label;
    const auto geometry = superblock.geometry();
    out.member("uuid", uuid_text(superblock.header.filesystem));
    out.member("label", std::string(label.begin(), std::ranges::find(label, '\0')));
    out.member("block_size", superblock.block_size).member("block_count", superblock.block_count);
    out.member("maps_per_group", superblock.maps_per_group).member("slots", superblock.slot_count);
    out.member("needs_check", (superblock.state & state_needs_check) != 0);
    out.member("change_in_progress", (superblock.state & state_change_in_progress) != 0);
    out.member("compat", hexadecimal(superblock.compat)).member("ro_compat", hexadecimal(superblock.ro_compat));
    out.member("incompat", hexadecimal(superblock.incompat)).member("root_inode", superblock.root_inode);
    out.member("directory_hash_seed", hexadecimal(superblock.directory_hash_seed));
    out.member("reserve_per_map", superblock.reserve_per_map);
    out.member("created", time_text(superblock.created)).member("checked", time_text(superblock.checked));
    if (fault_in(superblock, superblock.block_count) != nullptr) return;
    out.member("groups", geometry.group_count());
    out.key("backups").begin_array();
    for (const auto place : backup_superblocks(geometry)) out.value(place);
    out.end_array();
    out.key("slot_layout").begin_array();
    for (std::uint32_t slot = 0; slot < superblock.slot_count; ++slot) {
        describe_slot_layout(out, superblock.slots[slot], slot);
    }
    out.end_array();
}

void describe(base::JsonWriter& out, const SlotMap& map, std::uint32_t slots) {
    out.key("slots").begin_array();
    for (std::uint32_t slot = 0; slot < std::min(slots, max_slots); ++slot) {
        const auto& entry = map.slots[slot];
        out.begin_object().member("slot", slot);
        out.member("state", entry.state == SlotState::mounted ? "mounted" : "free").member("node", entry.node);
        out.member("incarnation", uuid_text(entry.incarnation)).member("mounted_at", time_text(entry.mounted_at));
        out.member("mounts", entry.mounts).end_object();
    }
    out.end_array();
}

void describe(base::JsonWriter& out, const AllocationMap& map, bool with_runs) {
    out.member("group", map.group).member("index", map.index).member("first_block", map.first_block);
    out.member("block_count", map.block_count).member("free", map.free_count);
    out.member("free_metadata", map.free_metadata_count).member("bad", map.bad_count);
    if (!with_runs) return;
    out.key("runs").begin_array();
    const auto count = std::min(map.block_count, blocks_per_map);
    for (std::uint32_t first = 0; first < count;) {
        auto end = first + 1;
        while (end < count && map.state(end) == map.state(first)) ++end;
        out.begin_object().member("first", map.first_block + first).member("count", end - first);
        out.member("state", state_text(map.state(first))).end_object();
        first = end;
    }
    out.end_array();
}

void describe(base::JsonWriter& out, const JournalHeader& header) {
    out.member("slot", header.slot).member("dirty", (header.flags & journal_dirty) != 0);
    out.member("block_count", header.block_count).member("tail_position", header.tail_position);
    out.member("tail_record", header.tail_record).member("epoch", header.epoch);
}

void describe(base::JsonWriter& out, const JournalDescriptor& descriptor) {
    out.member("epoch", descriptor.epoch).member("record", descriptor.record).member("slot", descriptor.slot);
    out.member("descriptors", descriptor.descriptors).member("index", descriptor.index);
    out.member("images", descriptor.images);
    out.key("tags").begin_array();
    const auto count = std::min<std::size_t>(descriptor.tags_here, JournalDescriptor::capacity);
    for (std::size_t i = 0; i < count; ++i) {
        const auto& tag = descriptor.tags[i];
        out.begin_object().member("block", tag.number).member("type", text_of(tag.type)).end_object();
    }
    out.end_array();
}

namespace {

void describe_structure(base::JsonWriter& out, const Block& block, const Superblock& superblock) {
    switch (block.as<BlockHeader>().magic) {
        case BlockType::superblock:
            return describe(out, block.as<Superblock>());
        case BlockType::slot_map:
            return describe(out, block.as<SlotMap>(), superblock.slot_count);
        case BlockType::allocation_map:
            return describe(out, block.as<AllocationMap>(), true);
        case BlockType::inode:
            return describe(out, block.as<Inode>(), superblock.block_count);
        case BlockType::tree_node:
        case BlockType::extent_leaf:
            return describe(out, block.as<TreeNode>());
        case BlockType::directory_leaf:
            return describe(out, block.as<DirectoryLeaf>());
        case BlockType::xattr:
            return describe(out, block.as<XattrBlock>());
        case BlockType::journal_header:
            return describe(out, block.as<JournalHeader>());
        case BlockType::journal_descriptor:
            return describe(out, block.as<JournalDescriptor>());
    }
}

}  // namespace

void describe_block(base::JsonWriter& out, const Block& block, BlockNumber number, const Superblock& superblock) {
    const auto& header = block.as<BlockHeader>();
    out.member("block", number).member("type", text_of(header.magic));
    out.member("condition", text_of(check(block.bytes, number, superblock.uuid())));
    if (!is_known(header.magic)) return;
    out.member("version", header.version).member("checksum", hexadecimal(header.checksum));
    out.member("filesystem", uuid_text(header.filesystem)).member("number", header.number);
    out.member("owner", header.owner).member("sequence", header.sequence);
    describe_structure(out, block, superblock);
}

}  // namespace debugfs_cfs
