// The 24-byte record of every tree: an extent of a file, a leaf of a directory, or a child of an inner node.
#pragma once

#include <cstddef>
#include <cstdint>

namespace clusterfs {

enum RecordFlags : std::uint32_t {
    record_unwritten = 1U << 0,  // extents: allocated, reads as zeros
};

struct TreeRecord {
    std::uint64_t key = 0;  // extents: first file block. Directories: smallest cookie of the leaf. Inner: smallest key
    std::uint64_t value = 0;  // extents: first disk block. Directories: the leaf's block. Inner: the child's block
    std::uint32_t count = 0;  // extents: blocks. Others: 1
    std::uint32_t flags = 0;  // RecordFlags

    bool unwritten() const { return (flags & record_unwritten) != 0; }
    std::uint64_t end() const { return key + count; }
    bool operator==(const TreeRecord&) const = default;
};
static_assert(sizeof(TreeRecord) == 24);
static_assert(offsetof(TreeRecord, value) == 8);
static_assert(offsetof(TreeRecord, count) == 16);

inline constexpr std::uint32_t max_extent_blocks = 1U << 24;                  // 64 GiB
inline constexpr std::uint64_t max_file_blocks = std::uint64_t{1} << 50;      // keys of extents are below
inline constexpr std::uint64_t max_file_size = (std::uint64_t{1} << 62) - 1;  // bytes

}  // namespace clusterfs
