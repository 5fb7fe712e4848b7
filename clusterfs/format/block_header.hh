// The 64 bytes at the front of every metadata block: what it is, where it belongs, how new it is, and that it is whole.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace clusterfs {

enum class BlockType : std::uint32_t {
    superblock = 0x42535343,         // "CSSB"
    slot_map = 0x4d4c5343,           // "CSLM"
    allocation_map = 0x4d415343,     // "CSAM"
    inode = 0x4f4e5343,              // "CSNO"
    tree_node = 0x4e545343,          // "CSTN": inner node of an extent or directory tree
    extent_leaf = 0x4c455343,        // "CSEL"
    directory_leaf = 0x4c445343,     // "CSDL"
    xattr = 0x41585343,              // "CSXA"
    journal_header = 0x484a5343,     // "CSJH"
    journal_descriptor = 0x444a5343  // "CSJD"
};

// No filesystem gets here. A block that says more was not written by one, and must not drag every clock along.
inline constexpr std::uint64_t largest_sequence = std::uint64_t{1} << 62;

struct BlockHeader {
    BlockType magic{};
    std::uint32_t version = 0;               // of this structure; 1 in this format
    std::uint64_t checksum = 0;              // XXH3 of what follows, seeded with the XXH3 of the 8 bytes before
    std::array<std::byte, 16> filesystem{};  // uuid of the filesystem
    std::uint64_t number = 0;                // where this block belongs: tells misdirected writes
    std::uint64_t owner = 0;                 // inode number; 0 for blocks of the filesystem as a whole
    std::uint64_t sequence = 0;              // of the transaction that wrote it: tells stale ones
    std::uint64_t reserved = 0;
};
static_assert(sizeof(BlockHeader) == 64);
static_assert(offsetof(BlockHeader, checksum) == 8);
static_assert(offsetof(BlockHeader, filesystem) == 16);
static_assert(offsetof(BlockHeader, number) == 32);
static_assert(offsetof(BlockHeader, owner) == 40);
static_assert(offsetof(BlockHeader, sequence) == 48);

}  // namespace clusterfs
