#include "clusterfs/format/tree_node.hh"

namespace clusterfs {
namespace {

const char* fault_in_extent(const TreeRecord& record, std::uint64_t device_blocks) {
    if (record.count == 0 || record.count > max_extent_blocks) return "an extent's length is out of range";
    if (record.key >= max_file_blocks || record.end() > max_file_blocks)
        return "an extent lies beyond the largest file";
    if (device_blocks - record.value < record.count) return "an extent leaves the filesystem";
    return (record.flags & ~std::uint32_t{record_unwritten}) != 0 ? "an extent has unknown flags" : nullptr;
}

const char* fault_in_record(const TreeRecord& record, bool is_extent, std::uint64_t device_blocks) {
    if (record.value == 0 || record.value >= device_blocks) return "a record points outside the filesystem";
    if (is_extent) return fault_in_extent(record, device_blocks);
    return record.count != 1 || record.flags != 0 ? "a record's count or flags are wrong" : nullptr;
}

}  // namespace

const char* fault_in(const TreeNodeHeader& node, std::span<const TreeRecord> records, TreeKind kind,
                     std::uint64_t device_blocks) {
    if (node.level > max_tree_level) return "a tree node's level is out of range";
    if (node.count > records.size()) return "a tree node has more records than room";
    const bool is_extent = kind == TreeKind::extents && node.level == 0;
    std::uint64_t next_key = 0;
    for (const auto& record : records.first(node.count)) {
        if (const auto* fault = fault_in_record(record, is_extent, device_blocks)) return fault;
        if (record.key < next_key) return "a tree node's records are not in order";
        next_key = is_extent ? record.end() : record.key + 1;
    }
    return nullptr;
}

const char* fault_in(const TreeNode& node, TreeKind kind, std::uint64_t device_blocks) {
    const auto expected = node.node.level == 0 ? BlockType::extent_leaf : BlockType::tree_node;
    if (node.header.magic != expected) return "a tree node's level does not fit its type";
    if (node.node.count == 0) return "a tree node below the root is empty";
    return fault_in(node.node, node.records, kind, device_blocks);
}

}  // namespace clusterfs
