#include "clusterfs/core/tree.hh"

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "clusterfs/core/error.hh"
#include "clusterfs/core/inode.hh"
#include "clusterfs/core/tree_nodes.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs {
namespace {

using tree_nodes::modify_node;
using tree_nodes::MutableNode;
using tree_nodes::Node;
using tree_nodes::read_child;
using tree_nodes::read_root;

// How a search came to a leaf: the nodes from the root on, and the record taken in each.
struct Step {
    Node node;
    std::size_t index = 0;
};
using Path = std::vector<Step>;

// The last record that is not above the key; 0 when all are above.
std::size_t child_index(std::span<const TreeRecord> records, std::uint64_t key) {
    const auto above = std::ranges::upper_bound(records, key, {}, &TreeRecord::key);
    return above == records.begin() ? 0 : static_cast<std::size_t>(above - records.begin()) - 1;
}

// From the last step of the path down to a leaf, taking the record that `choose` names in every inner node.
template <typename Choose>
base::Result<void> descend(View& view, InodeNumber inode, Path& path, Choose choose) {
    while (path.back().node.level > 0) {
        auto& step = path.back();
        step.index = choose(step.node.records);
        BASE_ASSIGN(auto child, read_child(view, inode, step.node, step.index));
        path.push_back({child, 0});
    }
    return {};
}

// Goes from the leaf at the path's end to the first record of the next leaf; false at the end of the tree.
base::Result<bool> step_forward(View& view, InodeNumber inode, Path& path) {
    path.pop_back();
    while (!path.empty() && path.back().index + 1 >= path.back().node.records.size()) path.pop_back();
    if (path.empty()) return false;
    auto& step = path.back();
    ++step.index;
    BASE_ASSIGN(auto child, read_child(view, inode, step.node, step.index));
    path.push_back({child, 0});
    BASE_TRY(descend(view, inode, path, [](const auto&) { return std::size_t{0}; }));
    return true;
}

base::Result<bool> step_back(View& view, InodeNumber inode, Path& path) {
    path.pop_back();
    while (!path.empty() && path.back().index == 0) path.pop_back();
    if (path.empty()) return false;
    auto& step = path.back();
    --step.index;
    BASE_ASSIGN(auto child, read_child(view, inode, step.node, step.index));
    path.push_back({child, 0});
    BASE_TRY(descend(view, inode, path, [](const auto& records) { return records.size() - 1; }));
    return true;
}

base::Result<Path> search(View& view, InodeNumber inode, std::uint64_t key) {
    BASE_ASSIGN(auto root, read_root(view, inode));
    Path path{{root, 0}};
    BASE_TRY(descend(view, inode, path, [key](const auto& records) { return child_index(records, key); }));
    return path;
}

}  // namespace

base::Result<std::optional<TreeRecord>> tree_at_or_before(View& view, InodeNumber inode, std::uint64_t key) {
    BASE_ASSIGN(auto path, search(view, inode, key));
    while (true) {
        const auto records = path.back().node.records;
        const auto above = std::ranges::upper_bound(records, key, {}, &TreeRecord::key);
        if (above != records.begin()) return std::optional(*(above - 1));
        BASE_ASSIGN(const bool more, step_back(view, inode, path));
        if (!more) return std::optional<TreeRecord>();
    }
}

base::Result<std::optional<TreeRecord>> tree_at_or_after(View& view, InodeNumber inode, std::uint64_t key) {
    BASE_ASSIGN(auto path, search(view, inode, key));
    while (true) {
        const auto records = path.back().node.records;
        const auto found = std::ranges::lower_bound(records, key, {}, &TreeRecord::key);
        if (found != records.end()) return std::optional(*found);
        BASE_ASSIGN(const bool more, step_forward(view, inode, path));
        if (!more) return std::optional<TreeRecord>();
    }
}

namespace {

base::Error damaged(InodeNumber inode, const char* how) {
    return {make_error_code(Errc::corrupted), "tree of inode " + std::to_string(inode) + ": " + how};
}

void insert_at(MutableNode& node, std::size_t index, const TreeRecord& record) {
    std::copy_backward(node.records + index, node.records + node.head->count, node.records + node.head->count + 1);
    node.records[index] = record;
    ++node.head->count;
}

void erase_at(MutableNode& node, std::size_t index) {
    std::copy(node.records + index + 1, node.records + node.head->count, node.records + index);
    --node.head->count;
    node.records[node.head->count] = {};
}

class Change {
  public:
    Change(View& view, InodeNumber inode, Purpose purpose) : view_(view), inode_(inode), purpose_(purpose) {}

    base::Result<void> insert(const TreeRecord& record) {
        BASE_ASSIGN(auto root, modify_node(view_, inode_, nullptr, 0));
        if (root.full()) BASE_TRY(push_down(root));
        return insert_below(root, record);
    }

    // A key that falls takes the keys above it along; one that rises may pass the key under which the next node is
    // found, which then rises too: nothing in that node is as small.
    base::Result<void> replace(std::uint64_t key, const TreeRecord& record) {
        BASE_ASSIGN(auto node, modify_node(view_, inode_, nullptr, 0));
        TreeRecord* next = nullptr;
        while (node.head->level > 0) {
            const auto index = child_index(node.view(), key);
            node.records[index].key = std::min(node.records[index].key, record.key);
            if (index + 1 < node.head->count) next = &node.records[index + 1];
            BASE_ASSIGN(node, modify_node(view_, inode_, &node, index));
        }
        const auto index = child_index(node.view(), key);
        const bool found = node.head->count > 0 && node.records[index].key == key;
        if (!found) return std::unexpected(damaged(inode_, "a record that must be there is missing"));
        node.records[index] = record;
        if (next != nullptr) next->key = std::max(next->key, record.key + 1);
        return {};
    }

    base::Result<void> erase(std::uint64_t key) {
        BASE_ASSIGN(auto root, modify_node(view_, inode_, nullptr, 0));
        BASE_TRY(erase_below(root, key));
        if (root.head->count == 0) root.head->level = 0;
        return pull_up(root);
    }

  private:
    // The root's records move into a new node below it. Room for one more is made thereby: nodes hold more.
    base::Result<void> push_down(MutableNode& root) {
        if (root.head->level >= max_tree_level) return std::unexpected(damaged(inode_, "it is too deep"));
        const auto type = root.head->level == 0 ? BlockType::extent_leaf : BlockType::tree_node;
        BASE_ASSIGN(const auto fresh, create_owned_block(view_, inode_, type, purpose_));
        auto& node = fresh.block->as<TreeNode>();
        node.node = *root.head;
        std::copy_n(root.records, root.head->count, node.records.begin());
        std::fill_n(root.records, root.head->count, TreeRecord{});
        root.records[0] = {node.records[0].key, fresh.number, 1, 0};
        root.head->count = 1;
        ++root.head->level;
        return {};
    }

    // `node` has room for one record more.
    base::Result<void> insert_below(MutableNode& node, const TreeRecord& record) {
        if (node.head->level == 0) return insert_into_leaf(node, record);
        auto index = child_index(node.view(), record.key);
        node.records[index].key = std::min(node.records[index].key, record.key);
        BASE_ASSIGN(auto child, modify_node(view_, inode_, &node, index));
        if (child.full()) {
            BASE_TRY(split(node, index, child, record.key));
            index = child_index(node.view(), record.key);
            BASE_ASSIGN(child, modify_node(view_, inode_, &node, index));
        }
        return insert_below(child, record);
    }

    base::Result<void> insert_into_leaf(MutableNode& leaf, const TreeRecord& record) {
        const auto place = std::ranges::lower_bound(leaf.view(), record.key, {}, &TreeRecord::key);
        if (place != leaf.view().end() && place->key == record.key) {
            return std::unexpected(damaged(inode_, "a key is inserted twice"));
        }
        insert_at(leaf, static_cast<std::size_t>(place - leaf.view().begin()), record);
        return {};
    }

    // Moves the upper part of a full child into a new one behind it: half, or only the last record where the new key
    // goes to the end (files that grow fill their nodes).
    base::Result<void> split(MutableNode& parent, std::size_t index, MutableNode& child, std::uint64_t new_key) {
        const auto count = child.head->count;
        const auto keep = new_key > child.records[count - 1].key ? count - 1 : count / 2;
        const auto type = child.head->level == 0 ? BlockType::extent_leaf : BlockType::tree_node;
        BASE_ASSIGN(const auto fresh, create_owned_block(view_, inode_, type, purpose_));
        auto& upper = fresh.block->as<TreeNode>();
        upper.node.level = child.head->level;
        upper.node.count = static_cast<std::uint16_t>(count - keep);
        std::copy(child.records + keep, child.records + count, upper.records.begin());
        std::fill(child.records + keep, child.records + count, TreeRecord{});
        child.head->count = static_cast<std::uint16_t>(keep);
        insert_at(parent, index + 1, {upper.records[0].key, fresh.number, 1, 0});
        return {};
    }

    base::Result<void> erase_below(MutableNode& node, std::uint64_t key) {
        const auto index = child_index(node.view(), key);
        if (node.head->level == 0) {
            const bool found = node.head->count > 0 && node.records[index].key == key;
            if (!found) return std::unexpected(damaged(inode_, "a record that must be there is missing"));
            erase_at(node, index);
            return {};
        }
        BASE_ASSIGN(auto child, modify_node(view_, inode_, &node, index));
        BASE_TRY(erase_below(child, key));
        if (child.head->count == 0) return remove_child(node, index);
        if (child.head->count >= TreeNode::capacity / 4) return {};
        if (index + 1 < node.head->count) return join(node, index);
        return index > 0 ? join(node, index - 1) : base::Result<void>();
    }

    base::Result<void> remove_child(MutableNode& node, std::size_t index) {
        const auto number = node.records[index].value;
        erase_at(node, index);
        return release_owned_block(view_, inode_, number);
    }

    // Appends the records of the child behind `index` to it, where they fit with room to spare.
    base::Result<void> join(MutableNode& node, std::size_t index) {
        BASE_ASSIGN(const auto lower_now, read_child(view_, inode_, node.as_const(), index));
        BASE_ASSIGN(const auto upper, read_child(view_, inode_, node.as_const(), index + 1));
        const auto together = lower_now.records.size() + upper.records.size();
        if (together > TreeNode::capacity * 3 / 4) return {};
        BASE_ASSIGN(auto lower, modify_node(view_, inode_, &node, index));
        std::copy(upper.records.begin(), upper.records.end(), lower.records + lower.head->count);
        lower.head->count = static_cast<std::uint16_t>(together);
        return remove_child(node, index + 1);
    }

    // While the root has a single child whose records fit into it, they move up.
    base::Result<void> pull_up(MutableNode& root) {
        while (root.head->level > 0 && root.head->count == 1) {
            BASE_ASSIGN(const auto child, read_child(view_, inode_, root.as_const(), 0));
            if (child.records.size() >= root.capacity) return {};
            const auto number = root.records[0].value;
            std::copy(child.records.begin(), child.records.end(), root.records);
            root.head->count = static_cast<std::uint16_t>(child.records.size());
            root.head->level = child.level;
            BASE_TRY(release_owned_block(view_, inode_, number));
        }
        return {};
    }

    View& view_;
    InodeNumber inode_;
    Purpose purpose_;
};

}  // namespace

base::Result<void> tree_insert(View& view, InodeNumber inode, const TreeRecord& record, Purpose purpose) {
    return Change(view, inode, purpose).insert(record);
}

base::Result<void> tree_replace(View& view, InodeNumber inode, std::uint64_t key, const TreeRecord& record) {
    return Change(view, inode, Purpose::metadata).replace(key, record);
}

base::Result<void> tree_erase(View& view, InodeNumber inode, std::uint64_t key) {
    return Change(view, inode, Purpose::metadata).erase(key);
}

}  // namespace clusterfs
