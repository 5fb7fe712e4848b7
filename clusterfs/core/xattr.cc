#include "clusterfs/core/xattr.hh"

#include <algorithm>

#include "clusterfs/core/error.hh"
#include "clusterfs/core/inode.hh"
#include "clusterfs/format/xattr.hh"

namespace clusterfs {
namespace {

std::unexpected<base::Error> corrupted(InodeNumber inode) {
    return base::failure(Errc::corrupted, "xattrs of inode " + std::to_string(inode));
}

base::ByteView entries_of(const XattrBlock& block) { return base::ByteView(block.entries).first(block.used); }

base::Result<void> check_block(const XattrBlock& block, InodeNumber inode) {
    if (fault_in(block) != nullptr || block.header.owner != inode) return corrupted(inode);
    return {};
}

// Empty where the inode has no xattr block.
base::Result<base::ByteView> block_entries(View& view, const Inode& inode) {
    if (inode.xattr_block == 0) return base::ByteView{};
    const auto number = inode.header.number;
    BASE_ASSIGN(const auto* block, view.block(inode.xattr_block, inode_lock(number), BlockType::xattr));
    BASE_TRY(check_block(block->as<XattrBlock>(), number));
    return entries_of(block->as<XattrBlock>());
}

base::Result<XattrBlock*> modify_block(View& view, const Inode& inode) {
    const auto number = inode.header.number;
    BASE_ASSIGN(auto* block, view.modify(inode.xattr_block, inode_lock(number), BlockType::xattr));
    BASE_TRY(check_block(block->as<XattrBlock>(), number));
    return &block->as<XattrBlock>();
}

base::Result<std::optional<XattrView>> find_in(base::ByteView entries, std::string_view name, InodeNumber inode) {
    XattrReader reader(entries);
    for (XattrView entry; reader.next(entry);) {
        if (entry.name == name) return entry;
    }
    if (!reader.ok()) return corrupted(inode);
    return std::nullopt;
}

base::Result<void> list_in(base::ByteView entries, InodeNumber inode, std::vector<std::string>& names) {
    XattrReader reader(entries);
    for (XattrView entry; reader.next(entry);) names.emplace_back(entry.name);
    if (!reader.ok()) return corrupted(inode);
    return {};
}

base::Bytes without(base::ByteView entries, const XattrView& entry) {
    base::Bytes rest(entries.begin(), entries.end());
    const auto first = rest.begin() + static_cast<std::ptrdiff_t>(entry.offset);
    rest.erase(first, first + static_cast<std::ptrdiff_t>(entry.length));
    return rest;
}

// The inode's inline attributes become these; what they no longer take is zeroed for the content.
void store_inline(Inode& inode, base::ByteView packed) {
    std::ranges::fill(inline_xattrs_of(inode), std::byte{0});
    inode.xattr_bytes = static_cast<std::uint32_t>(packed.size());
    base::copy_bytes(packed, inline_xattrs_of(inode));
}

bool fits_inline(const Inode& inode, std::size_t length) {
    const auto wanted = inode.xattr_bytes + length;
    return wanted <= max_inline_xattr_bytes && content_used(inode) + wanted <= inode_payload_size;
}

base::Result<void> add_to_block(View& view, InodeNumber number, std::string_view name, base::ByteView value) {
    const auto length = xattr_entry_length(name.size(), value.size());
    if (length > sizeof(XattrBlock::entries)) return base::failure(std::errc::no_space_on_device);
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    if (inode->xattr_block == 0) {
        BASE_ASSIGN(const auto owned, create_owned_block(view, number, BlockType::xattr, Purpose::metadata));
        BASE_ASSIGN(inode, modify_inode(view, number));
        inode->xattr_block = owned.number;
    }
    BASE_ASSIGN(auto* block, modify_block(view, *inode));
    if (block->used + length > sizeof(XattrBlock::entries)) return base::failure(std::errc::no_space_on_device);
    write_xattr(base::MutableByteView(block->entries).subspan(block->used), name, value);
    block->used = static_cast<std::uint16_t>(block->used + length);
    ++block->count;
    return {};
}

base::Result<void> erase_from_block(View& view, InodeNumber number, const XattrView& entry) {
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    BASE_ASSIGN(auto* block, modify_block(view, *inode));
    const auto rest = without(entries_of(*block), entry);
    std::ranges::fill(block->entries, std::byte{0});
    base::copy_bytes(rest, block->entries);
    block->used = static_cast<std::uint16_t>(rest.size());
    --block->count;
    return {};
}

base::Result<void> free_empty_block(View& view, InodeNumber number) {
    BASE_ASSIGN(const auto* inode, read_inode(view, number));
    if (inode->xattr_block == 0) return {};
    BASE_ASSIGN(const auto entries, block_entries(view, *inode));
    if (!entries.empty()) return {};
    BASE_ASSIGN(auto* changed, modify_inode(view, number));
    const auto freed = changed->xattr_block;
    changed->xattr_block = 0;
    return release_owned_block(view, number, freed);
}

// Leaves an xattr block that has become empty, so that a replaced value finds its room again.
base::Result<bool> erase_entry(View& view, InodeNumber number, std::string_view name) {
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    BASE_ASSIGN(const auto in_inode, find_in(inline_xattrs_of(*inode), name, number));
    if (in_inode) {
        store_inline(*inode, without(inline_xattrs_of(*inode), *in_inode));
        return true;
    }
    BASE_ASSIGN(const auto entries, block_entries(view, *inode));
    BASE_ASSIGN(const auto in_block, find_in(entries, name, number));
    if (!in_block) return false;
    BASE_TRY(erase_from_block(view, number, *in_block));
    return true;
}

base::Result<void> add_entry(View& view, InodeNumber number, std::string_view name, base::ByteView value) {
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    const auto length = xattr_entry_length(name.size(), value.size());
    if (!fits_inline(*inode, length)) return add_to_block(view, number, name, value);
    const auto old = inline_xattrs_of(*inode);
    base::Bytes packed(old.begin(), old.end());
    packed.resize(old.size() + length);
    write_xattr(base::MutableByteView(packed).subspan(old.size()), name, value);
    store_inline(*inode, packed);
    return {};
}

}  // namespace

base::Result<std::optional<base::Bytes>> find_xattr(View& view, InodeNumber number, std::string_view name) {
    BASE_ASSIGN(const auto* inode, read_inode(view, number));
    BASE_ASSIGN(auto entry, find_in(inline_xattrs_of(*inode), name, number));
    if (!entry) {
        BASE_ASSIGN(const auto entries, block_entries(view, *inode));
        BASE_ASSIGN(entry, find_in(entries, name, number));
    }
    if (!entry) return std::nullopt;
    return base::Bytes(entry->value.begin(), entry->value.end());
}

base::Result<bool> erase_xattr(View& view, InodeNumber number, std::string_view name) {
    BASE_ASSIGN(const bool found, erase_entry(view, number, name));
    BASE_TRY(free_empty_block(view, number));
    return found;
}

base::Result<void> put_xattr(View& view, InodeNumber number, std::string_view name, base::ByteView value) {
    BASE_TRY(erase_entry(view, number, name));
    BASE_TRY(add_entry(view, number, name, value));
    return free_empty_block(view, number);
}

base::Result<std::vector<std::string>> xattr_names(View& view, InodeNumber number) {
    BASE_ASSIGN(const auto* inode, read_inode(view, number));
    std::vector<std::string> names;
    BASE_TRY(list_in(inline_xattrs_of(*inode), number, names));
    BASE_ASSIGN(const auto entries, block_entries(view, *inode));
    BASE_TRY(list_in(entries, number, names));
    return names;
}

}  // namespace clusterfs
