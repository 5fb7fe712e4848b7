#include "clusterfs/format/block_seal.hh"

#include <cstddef>
#include <cstring>

#include "base/hash.hh"

namespace clusterfs {
namespace {

constexpr std::size_t checksum_offset = offsetof(BlockHeader, checksum);

// Everything but the field itself: what is before it seeds the sum of what is behind it.
std::uint64_t checksum_of(base::ByteView block) {
    const auto front = base::checksum(block.first(checksum_offset));
    return base::checksum(block.subspan(checksum_offset + sizeof(std::uint64_t)), front);
}

BlockHeader header_of(base::ByteView block) {
    BlockHeader header;
    std::memcpy(&header, block.data(), sizeof header);
    return header;
}

}  // namespace

const char* text_of(BlockFault fault) {
    switch (fault) {
        case BlockFault::none:
            return "sound";
        case BlockFault::unknown_type:
            return "not a block of a CFS filesystem";
        case BlockFault::unknown_version:
            return "of a newer version";
        case BlockFault::bad_sequence:
            return "its sequence is impossible";
        case BlockFault::bad_checksum:
            return "its checksum is wrong";
        case BlockFault::other_filesystem:
            return "it belongs to another filesystem";
        case BlockFault::wrong_place:
            return "it belongs to another place";
    }
    return "unknown fault";
}

const char* text_of(BlockType type) {
    switch (type) {
        case BlockType::superblock:
            return "superblock";
        case BlockType::slot_map:
            return "slot map";
        case BlockType::allocation_map:
            return "allocation map";
        case BlockType::inode:
            return "inode";
        case BlockType::tree_node:
            return "tree node";
        case BlockType::extent_leaf:
            return "tree leaf";
        case BlockType::directory_leaf:
            return "directory leaf";
        case BlockType::xattr:
            return "extended attributes";
        case BlockType::journal_header:
            return "journal header";
        case BlockType::journal_descriptor:
            return "journal descriptor";
    }
    return "unknown";
}

bool is_known(BlockType type) { return text_of(type) != text_of(BlockType{}); }

void seal(base::MutableByteView block, std::uint64_t sequence) {
    base::store(block.subspan(offsetof(BlockHeader, sequence)), sequence);
    base::store(block.subspan(checksum_offset), checksum_of(block));
}

BlockFault check(base::ByteView block, std::uint64_t number) {
    const auto header = header_of(block);
    if (!is_known(header.magic)) return BlockFault::unknown_type;
    if (header.checksum != checksum_of(block)) return BlockFault::bad_checksum;
    if (header.version != 1) return BlockFault::unknown_version;
    if (header.sequence > largest_sequence) return BlockFault::bad_sequence;
    return header.number == number ? BlockFault::none : BlockFault::wrong_place;
}

BlockFault check(base::ByteView block, std::uint64_t number, const base::Uuid& filesystem) {
    const auto fault = check(block, number);
    if (fault != BlockFault::none && fault != BlockFault::wrong_place) return fault;
    if (header_of(block).filesystem != filesystem.bytes) return BlockFault::other_filesystem;
    return fault;
}

}  // namespace clusterfs
