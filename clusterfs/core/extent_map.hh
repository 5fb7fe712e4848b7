// Which blocks of the device hold which blocks of a file, over a view with the inode's lock held. The content of the
// inode must be extents (make_extents() converts an empty one). What a function allocates or frees it counts in
// Inode::blocks; size and times are the caller's.
#pragma once

#include <cstdint>

#include "clusterfs/core/allocator.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs {

struct Mapping {
    std::uint64_t file_block = 0;
    std::uint64_t count = 0;     // of blocks alike, from file_block on
    BlockNumber disk_block = 0;  // 0: a hole
    bool unwritten = false;      // allocated, reads as zeros
    bool is_hole() const { return disk_block == 0; }
    bool operator==(const Mapping&) const = default;
};

// What is at `file_block`, and how far it goes, at most `limit` blocks.
[[nodiscard]] base::Result<Mapping> map_block(View& view, InodeNumber inode, std::uint64_t file_block,
                                              std::uint64_t limit);

// Makes the inode's content an empty tree of extents. What was inline is lost: the caller has written it elsewhere.
[[nodiscard]] base::Result<void> make_extents(View& view, InodeNumber inode);

// Gives holes of the range unwritten blocks. Stops early when the work would be too much for one operation: returns
// how many blocks from `first` on are allocated now (at least 1 of `count`). ENOSPC when there is no room for the
// first.
[[nodiscard]] base::Result<std::uint64_t> allocate_range(View& view, InodeNumber inode, std::uint64_t first,
                                                         std::uint64_t count);
// The data of these blocks was written. Each must be allocated.
[[nodiscard]] base::Result<void> mark_written(View& view, InodeNumber inode, std::uint64_t first, std::uint64_t count);

// Frees what the range holds. Works from the end of the range to its front; true when all is done, else the caller runs
// it again in an operation of its own. `count` may reach beyond the end of the file.
[[nodiscard]] base::Result<bool> punch_range(View& view, InodeNumber inode, std::uint64_t first, std::uint64_t count);

}  // namespace clusterfs
