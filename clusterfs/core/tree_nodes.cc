#include "clusterfs/core/tree_nodes.hh"

#include <string>

#include "clusterfs/core/error.hh"
#include "clusterfs/core/inode.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs::tree_nodes {
namespace {

base::Result<void> check_node(const View& view, InodeNumber inode, TreeKind kind, const TreeNode& node,
                              std::uint16_t parent_level) {
    const char* fault = fault_in(node, kind, view.superblock().block_count);
    if (fault == nullptr && node.header.owner != inode) fault = "it belongs to another inode";
    if (fault == nullptr && node.node.level + 1 != parent_level) fault = "its level does not fit its parent's";
    if (fault == nullptr) return {};
    return base::failure(Errc::corrupted, "tree of inode " + std::to_string(inode) + ", node in block " +
                                              std::to_string(node.header.number) + ": " + fault);
}

BlockType type_below(std::uint16_t parent_level) {
    return parent_level == 1 ? BlockType::extent_leaf : BlockType::tree_node;
}

base::Result<void> check_root(const Inode& inode) {
    if (is_tree(inode.content)) return {};
    return base::failure(Errc::corrupted, "inode " + std::to_string(inode.header.number) + " has no tree");
}

}  // namespace

base::Result<Node> read_root(View& view, InodeNumber number) {
    BASE_ASSIGN(const auto* inode, read_inode(view, number));
    BASE_TRY(check_root(*inode));
    return Node{root_of(*inode).level, {root_records_of(*inode), root_of(*inode).count}};
}

base::Result<Node> read_child(View& view, InodeNumber number, const Node& parent, std::size_t index) {
    if (index >= parent.records.size()) {
        return base::failure(Errc::corrupted, "tree of inode " + std::to_string(number) + ": an empty inner node");
    }
    BASE_ASSIGN(const auto* inode, read_inode(view, number));
    BASE_ASSIGN(const auto* block,
                view.block(parent.records[index].value, inode_lock(number), type_below(parent.level)));
    const auto& node = block->as<TreeNode>();
    BASE_TRY(check_node(view, number, tree_kind_of(*inode), node, parent.level));
    return Node{node.node.level, {node.records.data(), node.node.count}};
}

base::Result<MutableNode> modify_node(View& view, InodeNumber number, const MutableNode* parent, std::size_t index) {
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    BASE_TRY(check_root(*inode));
    if (parent == nullptr) return MutableNode{&root_of(*inode), root_records_of(*inode), root_capacity_of(*inode)};
    BASE_TRY(read_child(view, number, parent->as_const(), index));
    BASE_ASSIGN(auto* block,
                view.modify(parent->records[index].value, inode_lock(number), type_below(parent->head->level)));
    auto& node = block->as<TreeNode>();
    return MutableNode{&node.node, node.records.data(), TreeNode::capacity};
}

}  // namespace clusterfs::tree_nodes
