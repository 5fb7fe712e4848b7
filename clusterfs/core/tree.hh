// The one B+tree: its root lies in the inode's content, its records are format/extent.hh's, everything is covered by
// the inode's lock (which must be held, exclusively for changes).
#pragma once

#include <cstdint>
#include <optional>

#include "clusterfs/core/allocator.hh"
#include "clusterfs/core/view.hh"
#include "clusterfs/format/extent.hh"

namespace clusterfs {

// The record with the largest key that is not above `key`.
[[nodiscard]] base::Result<std::optional<TreeRecord>> tree_at_or_before(View& view, InodeNumber inode,
                                                                        std::uint64_t key);
// The record with the smallest key that is not below `key`.
[[nodiscard]] base::Result<std::optional<TreeRecord>> tree_at_or_after(View& view, InodeNumber inode,
                                                                       std::uint64_t key);
// A key that is there already is Errc::corrupted. Allocates at most max_tree_level + 1 nodes.
[[nodiscard]] base::Result<void> tree_insert(View& view, InodeNumber inode, const TreeRecord& record, Purpose purpose);
// Puts `record` in the place of the record with that key; the new key must keep the order.
[[nodiscard]] base::Result<void> tree_replace(View& view, InodeNumber inode, std::uint64_t key,
                                              const TreeRecord& record);
// Nodes that become empty are freed, small neighbours are joined.
[[nodiscard]] base::Result<void> tree_erase(View& view, InodeNumber inode, std::uint64_t key);

}  // namespace clusterfs
