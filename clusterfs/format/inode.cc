#include "clusterfs/format/inode.hh"

namespace clusterfs {
namespace {

// Which contents an inode of a type may have.
struct AllowedContent {
    std::uint32_t type;
    bool none, data, extents, directory, directory_tree;
};
constexpr AllowedContent allowed_contents[] = {
    {mode_regular, false, true, true, false, false},           {mode_symlink, false, true, true, false, false},
    {mode_directory, false, false, false, true, true},         {mode_block_device, true, false, false, false, false},
    {mode_character_device, true, false, false, false, false}, {mode_fifo, true, false, false, false, false},
    {mode_socket, true, false, false, false, false},
};

const char* fault_in_type(const Inode& inode) {
    for (const auto& row : allowed_contents) {
        if (row.type != type_of_mode(inode.mode)) continue;
        const bool allowed[] = {row.none, row.data, row.extents, row.directory, row.directory_tree};
        const auto content = static_cast<std::size_t>(inode.content);
        if (content < std::size(allowed) && allowed[content]) return nullptr;
        return "the content does not fit the file type";
    }
    return "the file type is unknown";
}

const char* fault_in_content(const Inode& inode, std::uint64_t device_blocks) {
    if (inode.content == Content::data && inode.size > inode.content_capacity()) return "inline data is too long";
    if (inode.content == Content::directory &&
        (inode.content_bytes > inode.content_capacity() || inode.content_bytes % 8 != 0)) {
        return "inline entries are too long";
    }
    if (inode.content != Content::directory && inode.content_bytes != 0) return "content_bytes without entries";
    if (!is_tree(inode.content)) return nullptr;
    return fault_in(root_of(inode), {root_records_of(inode), root_capacity_of(inode)}, tree_kind_of(inode),
                    device_blocks);
}

}  // namespace

std::size_t content_used(const Inode& inode) {
    switch (inode.content) {
        case Content::data:
            return static_cast<std::size_t>(inode.size);
        case Content::directory:
            return inode.content_bytes;
        case Content::extents:
        case Content::directory_tree:
            return sizeof(TreeNodeHeader) + root_of(inode).count * sizeof(TreeRecord);
        case Content::none:
            break;
    }
    return 0;
}

const char* fault_in(const Inode& inode, std::uint64_t device_blocks) {
    if (inode.header.magic != BlockType::inode) return "not an inode";
    if (inode.header.owner != inode.header.number) return "its owner is another inode";
    if ((inode.flags & inode_deleted) != 0) return "deleted";
    if ((inode.flags & ~known_inode_flags) != 0) return "it has unknown flags";
    if (inode.xattr_bytes > max_inline_xattr_bytes || inode.xattr_bytes % 8 != 0) {
        return "inline attributes are too long";
    }
    if (inode.xattr_block >= device_blocks) return "its attribute block lies outside the filesystem";
    if (inode.size > max_file_size) return "its size is out of range";
    if (const auto* fault = fault_in_type(inode)) return fault;
    return fault_in_content(inode, device_blocks);
}

}  // namespace clusterfs
