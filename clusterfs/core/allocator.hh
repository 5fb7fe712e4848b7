// Hands out blocks and takes them back: two bits per block in the map blocks of the allocation groups.
#pragma once

#include <cstdint>
#include <vector>

#include "clusterfs/core/view.hh"

namespace clusterfs {

enum class Purpose {
    data,
    metadata,
    // Metadata without which something could not be freed (the orphan directory, splitting an extent to punch a hole):
    // may take the reserve, so that a full filesystem can always be emptied.
    metadata_to_free,
};

struct BlockRange {
    BlockNumber first = 0;
    std::uint32_t count = 0;
    bool operator==(const BlockRange&) const = default;
};

// The lock over the map of the group that `block` lies in.
LockName group_lock_of(const Superblock& superblock, BlockNumber block);

// 1 to `wanted` consecutive blocks, as near behind `goal` as can be (0: anywhere), in groups that this node's slot
// prefers as long as they have room. ENOSPC when no group has any.
[[nodiscard]] base::Result<BlockRange> allocate(View& view, Purpose purpose, std::uint32_t wanted, BlockNumber goal);

// Up to `count` blocks that allocate() is likely to hand out next, one by one, as metadata near `number`, which it has
// just handed out to this operation.
[[nodiscard]] base::Result<std::vector<BlockNumber>> likely_next(View& view, BlockNumber number, std::size_t count);

// Takes exactly this range, which must be free (mkfs, fsck).
[[nodiscard]] base::Result<void> claim(View& view, BlockRange range);

// Gives an allocated range back (it may span groups) and notes it as freed in the transaction. What was metadata
// becomes free metadata. A block that was not in use is Errc::corrupted.
[[nodiscard]] base::Result<void> release(View& view, BlockRange range, Purpose was);

// Makes the free metadata of a group free again. Only while every journal is known to be empty.
[[nodiscard]] base::Result<std::uint32_t> reclaim_free_metadata(View& view, std::uint64_t group);

struct SpaceCounts {
    std::uint64_t blocks = 0;     // of the filesystem, without its fixed structures
    std::uint64_t free = 0;       // free or free metadata
    std::uint64_t available = 0;  // to users: without the reserve
};
// Exact: needs the lock of every one of these groups and all their map blocks at once. Groups from `first_group`;
// `groups` of them at most, so that it can be cut.
[[nodiscard]] base::Result<SpaceCounts> count_space(View& view, std::uint64_t first_group, std::uint64_t groups);

}  // namespace clusterfs
