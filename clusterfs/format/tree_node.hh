// Nodes of the one B+tree: of extents of a file, or of leaves of a hashed directory. The root's header and records lie
// in the inode's content; other nodes have a block each. Records are sorted by key, keys of one node are distinct. In
// an inner node a record's child holds the keys from the record's key up to the next record's key; the first record's
// key of every inner node is at most any key below it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "clusterfs/format/block_header.hh"
#include "clusterfs/format/extent.hh"

namespace clusterfs {

inline constexpr std::uint16_t max_tree_level = 6;  // of the root

struct TreeNodeHeader {
    std::uint16_t level = 0;  // 0: leaf
    std::uint16_t count = 0;  // records
    std::uint32_t reserved_0 = 0;
    std::uint64_t reserved_1 = 0;
};
static_assert(sizeof(TreeNodeHeader) == 16);

struct TreeNode {
    static constexpr std::size_t capacity = 167;

    BlockHeader header;  // tree_node where level > 0, extent_leaf where level = 0; the owner is the inode
    TreeNodeHeader node;
    std::array<TreeRecord, capacity> records{};
    std::uint64_t reserved = 0;
};
static_assert(offsetof(TreeNode, node) == 64);
static_assert(offsetof(TreeNode, records) == 80);
static_assert(sizeof(TreeNode) == 4096);

// What a tree holds decides what its records must be like.
enum class TreeKind { extents, directory };

// What is wrong with the node, or null. `capacity`: how many records there is room for.
[[nodiscard]] const char* fault_in(const TreeNodeHeader& node, std::span<const TreeRecord> records, TreeKind kind,
                                   std::uint64_t device_blocks);
// The header and its level against the block type, then the above.
[[nodiscard]] const char* fault_in(const TreeNode& node, TreeKind kind, std::uint64_t device_blocks);

}  // namespace clusterfs
