// An inode: one block of 256 bytes of attributes and 3840 bytes of payload. The payload holds the content from its
// front (the data of a small file, the target of a symbolic link, the entries of a small directory, or the root of a
// tree) and the inline extended attributes in its last `xattr_bytes` bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hh"
#include "clusterfs/format/block_header.hh"
#include "clusterfs/format/tree_node.hh"

namespace clusterfs {

inline constexpr std::size_t inode_payload_size = 3840;
inline constexpr std::size_t max_inline_xattr_bytes = 2048;

enum class Content : std::uint16_t {
    none = 0,            // devices, pipes, sockets; a deleted inode
    data = 1,            // the `size` bytes of a regular file or the target of a symbolic link
    extents = 2,         // TreeNodeHeader and records: a tree of extents
    directory = 3,       // `content_bytes` bytes of entries (format/directory_entry.hh)
    directory_tree = 4,  // TreeNodeHeader and records: a tree of directory leaves
};

enum InodeFlags : std::uint32_t {
    inode_immutable = 1U << 0,    // chattr +i
    inode_append_only = 1U << 1,  // chattr +a
    inode_no_atime = 1U << 2,     // chattr +A
    inode_orphan = 1U << 3,       // has an entry in an orphan directory
    inode_system = 1U << 4,       // an orphan directory
    inode_deleted = 1U << 5,      // was freed; kept so that handles to it are known to be stale
};
inline constexpr std::uint32_t known_inode_flags = (1U << 6) - 1;

struct Inode {
    BlockHeader header;            // the owner is the inode itself
    std::uint64_t generation = 0;  // of this life of the inode number
    std::uint32_t mode = 0;        // st_mode: type and permissions; 0 when deleted
    std::uint32_t flags = 0;       // InodeFlags
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t links = 0;
    Content content = Content::none;
    std::uint16_t content_bytes = 0;  // entries of an inline directory
    std::uint64_t size = 0;           // bytes; of a directory 0
    std::uint64_t blocks = 0;         // that belong to it beside the inode block: data, tree nodes, leaves, xattr block
    std::uint64_t device = 0;         // st_rdev: major << 32 | minor
    std::int64_t accessed = 0;        // nanoseconds since 1970, all four
    std::int64_t modified = 0;
    std::int64_t changed = 0;
    std::int64_t born = 0;
    std::uint64_t parent = 0;       // of a directory: its parent's inode; of the root its own; else 0
    std::uint64_t xattr_block = 0;  // 0: none
    std::uint32_t xattr_bytes = 0;  // of inline attributes, at the payload's end; a multiple of 8
    std::uint32_t entries = 0;      // of a directory
    std::uint64_t change = 0;       // counts changes (i_version)
    std::uint32_t orphan_slot = 0;  // whose orphan directory, with inode_orphan
    std::uint32_t project = 0;
    std::array<std::byte, 64> reserved{};
    std::array<std::byte, inode_payload_size> payload{};

    std::size_t content_capacity() const { return inode_payload_size - xattr_bytes; }
};
static_assert(offsetof(Inode, generation) == 64);
static_assert(offsetof(Inode, mode) == 72);
static_assert(offsetof(Inode, links) == 88);
static_assert(offsetof(Inode, content) == 92);
static_assert(offsetof(Inode, size) == 96);
static_assert(offsetof(Inode, accessed) == 120);
static_assert(offsetof(Inode, parent) == 152);
static_assert(offsetof(Inode, xattr_bytes) == 168);
static_assert(offsetof(Inode, change) == 176);
static_assert(offsetof(Inode, reserved) == 192);
static_assert(offsetof(Inode, payload) == 256);
static_assert(sizeof(Inode) == 4096);

// The payload's parts.
inline base::MutableByteView content_of(Inode& inode) {
    return base::MutableByteView(inode.payload).first(inode.content_capacity());
}
inline base::ByteView content_of(const Inode& inode) {
    return base::ByteView(inode.payload).first(inode.content_capacity());
}
inline base::MutableByteView inline_xattrs_of(Inode& inode) {
    return base::MutableByteView(inode.payload).last(inode.xattr_bytes);
}
inline base::ByteView inline_xattrs_of(const Inode& inode) {
    return base::ByteView(inode.payload).last(inode.xattr_bytes);
}
// How many bytes of the content are in use (data: size; a directory: its entries; a tree: header and records).
std::size_t content_used(const Inode& inode);

// The root of a tree; the content must be extents or directory_tree.
inline TreeNodeHeader& root_of(Inode& inode) { return *reinterpret_cast<TreeNodeHeader*>(inode.payload.data()); }
inline const TreeNodeHeader& root_of(const Inode& inode) {
    return *reinterpret_cast<const TreeNodeHeader*>(inode.payload.data());
}
inline TreeRecord* root_records_of(Inode& inode) {
    return reinterpret_cast<TreeRecord*>(inode.payload.data() + sizeof(TreeNodeHeader));
}
inline const TreeRecord* root_records_of(const Inode& inode) {
    return reinterpret_cast<const TreeRecord*>(inode.payload.data() + sizeof(TreeNodeHeader));
}
inline std::size_t root_capacity_of(const Inode& inode) {
    return (inode.content_capacity() - sizeof(TreeNodeHeader)) / sizeof(TreeRecord);
}

inline bool is_tree(Content content) { return content == Content::extents || content == Content::directory_tree; }
inline TreeKind tree_kind_of(const Inode& inode) {
    return inode.content == Content::extents ? TreeKind::extents : TreeKind::directory;
}

// st_mode's file types, without <sys/stat.h>.
inline constexpr std::uint32_t mode_type_mask = 0170000;
inline constexpr std::uint32_t mode_socket = 0140000;
inline constexpr std::uint32_t mode_symlink = 0120000;
inline constexpr std::uint32_t mode_regular = 0100000;
inline constexpr std::uint32_t mode_block_device = 0060000;
inline constexpr std::uint32_t mode_directory = 0040000;
inline constexpr std::uint32_t mode_character_device = 0020000;
inline constexpr std::uint32_t mode_fifo = 0010000;
inline std::uint32_t type_of_mode(std::uint32_t mode) { return mode & mode_type_mask; }
inline bool is_directory(const Inode& inode) { return type_of_mode(inode.mode) == mode_directory; }
inline bool is_regular(const Inode& inode) { return type_of_mode(inode.mode) == mode_regular; }
inline bool is_symlink(const Inode& inode) { return type_of_mode(inode.mode) == mode_symlink; }

// What is wrong with the fields of an inode that is in use, or null: after this every length and count of the block is
// within the block. Entries, xattrs and tree records have their own checks. A deleted inode is "deleted".
[[nodiscard]] const char* fault_in(const Inode& inode, std::uint64_t device_blocks);

}  // namespace clusterfs
