// Reading and changing single nodes of a tree, every one checked: the part of core/tree that knows where nodes lie.
#pragma once

#include <cstdint>
#include <span>

#include "clusterfs/core/view.hh"
#include "clusterfs/format/inode.hh"

namespace clusterfs::tree_nodes {

struct Node {
    std::uint16_t level = 0;
    std::span<const TreeRecord> records;  // those in use
};

struct MutableNode {
    TreeNodeHeader* head = nullptr;
    TreeRecord* records = nullptr;
    std::size_t capacity = 0;

    bool full() const { return head->count >= capacity; }
    std::span<const TreeRecord> view() const { return {records, head->count}; }
    Node as_const() const { return {head->level, view()}; }
};

base::Result<Node> read_root(View& view, InodeNumber inode);
base::Result<Node> read_child(View& view, InodeNumber inode, const Node& parent, std::size_t index);
// The child at `index` of a parent; the root where parent is null.
base::Result<MutableNode> modify_node(View& view, InodeNumber inode, const MutableNode* parent, std::size_t index);

}  // namespace clusterfs::tree_nodes
