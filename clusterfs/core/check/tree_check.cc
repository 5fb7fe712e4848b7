#include "clusterfs/core/check/tree_check.hh"

#include <limits>
#include <span>

namespace clusterfs::checking {
namespace {

class Collector {
  public:
    Collector(Context& context, const Inode& inode)
        : context_(context), inode_(inode.header.number), kind_(tree_kind_of(inode)) {}

    void visit(std::uint16_t level, std::span<const TreeRecord> records, std::uint64_t low, std::uint64_t high) {
        if (level == 0) return take_leaf(records, low, high);
        if (records.empty()) return damage("an inner node is empty");
        for (std::size_t i = 0; i < records.size(); ++i) {
            const auto from = i == 0 ? low : std::max(low, records[i].key);
            const auto until = i + 1 < records.size() ? std::min(high, records[i + 1].key) : high;
            visit_child(level, records[i].value, from, until);
        }
    }
    CollectedTree take() { return std::move(tree_); }

  private:
    void damage(const std::string& how) {
        if (!tree_.damaged) tree_.how = how;
        tree_.damaged = true;
    }

    // Keys of a leaf lie between those of the records that lead to it; extents do not overlap across leaves.
    void take_leaf(std::span<const TreeRecord> records, std::uint64_t low, std::uint64_t high) {
        for (const auto& record : records) {
            const bool in_order = record.key >= low && record.key < high && record.key >= next_;
            if (!in_order) {
                damage("records are out of order");
                continue;
            }
            next_ = kind_ == TreeKind::extents ? record.end() : record.key + 1;
            tree_.records.push_back(record);
        }
    }

    void visit_child(std::uint16_t parent_level, BlockNumber number, std::uint64_t low, std::uint64_t high) {
        const auto at = "node in block " + std::to_string(number) + ": ";
        const auto loaded = context_.load(number);
        if (!loaded.sound()) return damage(at + text_of(loaded.fault));
        const auto type = loaded.block->as<BlockHeader>().magic;
        if (type != BlockType::tree_node && type != BlockType::extent_leaf) return damage(at + "not a tree node");
        const auto& node = loaded.block->as<TreeNode>();
        const auto* fault = fault_in(node, kind_, context_.superblock().block_count);
        if (fault == nullptr && node.header.owner != inode_) fault = "it belongs to another inode";
        if (fault == nullptr && node.node.level + 1 != parent_level) fault = "its level is wrong";
        if (fault != nullptr) return damage(at + fault);
        if (!context_.claim(number)) return damage(at + "it belongs to something else too");
        tree_.nodes.push_back(number);
        visit(node.node.level, std::span(node.records).first(node.node.count), low, high);
    }

    Context& context_;
    InodeNumber inode_;
    TreeKind kind_;
    std::uint64_t next_ = 0;
    CollectedTree tree_;
};

}  // namespace

CollectedTree collect_tree(Context& context, const Inode& inode) {
    Collector collector(context, inode);
    collector.visit(root_of(inode).level, {root_records_of(inode), root_of(inode).count}, 0,
                    std::numeric_limits<std::uint64_t>::max());
    return collector.take();
}

}  // namespace clusterfs::checking
