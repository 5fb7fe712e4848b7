#include "clusterfs/core/directory.hh"

#include <algorithm>
#include <array>
#include <string>

#include "base/ensure.hh"
#include "clusterfs/core/directory_entries.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/core/inode.hh"
#include "clusterfs/core/tree.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs {
namespace {

// A leaf with fewer bytes of entries than this is joined with its right neighbour if both fill at most join_limit.
constexpr std::size_t sparse_leaf = sizeof(DirectoryLeaf::entries) / 4;
constexpr std::size_t join_limit = sizeof(DirectoryLeaf::entries) * 3 / 4;

std::unexpected<base::Error> corrupted(InodeNumber directory, const std::string& what) {
    return base::failure(Errc::corrupted, "directory " + std::to_string(directory) + ": " + what);
}

std::uint64_t base_for(const View& view, std::string_view name) {
    return cookie_base(name, view.superblock().directory_hash_seed);
}

base::Result<const Inode*> read_directory_inode(View& view, InodeNumber directory) {
    BASE_ASSIGN(const auto* inode, read_inode(view, directory));
    if (inode->content != Content::directory && inode->content != Content::directory_tree) {
        return base::failure(std::errc::not_a_directory);
    }
    return inode;
}

base::Result<void> check_leaf(const DirectoryLeaf& leaf, InodeNumber directory, const TreeRecord& record) {
    if (const auto* fault = fault_in(leaf)) return corrupted(directory, fault);
    if (leaf.header.owner != directory || leaf.first_cookie != record.key) {
        return corrupted(directory, "leaf " + std::to_string(record.value) + " is not its own");
    }
    return {};
}

base::Result<const DirectoryLeaf*> read_leaf(View& view, InodeNumber directory, const TreeRecord& record) {
    BASE_ASSIGN(const auto* block, view.block(record.value, inode_lock(directory), BlockType::directory_leaf));
    const auto& leaf = block->as<DirectoryLeaf>();
    BASE_TRY(check_leaf(leaf, directory, record));
    return &leaf;
}

base::Result<DirectoryLeaf*> modify_leaf(View& view, InodeNumber directory, const TreeRecord& record) {
    BASE_ASSIGN(auto* block, view.modify(record.value, inode_lock(directory), BlockType::directory_leaf));
    auto& leaf = block->as<DirectoryLeaf>();
    BASE_TRY(check_leaf(leaf, directory, record));
    return &leaf;
}

base::ByteView entries_of(const DirectoryLeaf& leaf) { return base::ByteView(leaf.entries).first(leaf.used); }
base::ByteView entries_of(const Inode& inode) { return content_of(inode).first(inode.content_bytes); }

EntryArea area_of(DirectoryLeaf& leaf) { return {base::MutableByteView(leaf.entries), leaf.used}; }
EntryArea area_of(Inode& inode) { return {content_of(inode), inode.content_bytes}; }

base::Result<void> store_used(DirectoryLeaf& leaf, const EntryArea& area) {
    leaf.used = static_cast<std::uint16_t>(area.used());
    BASE_ASSIGN(leaf.count, count_in(area.entries()));
    return {};
}
void store_used(Inode& inode, const EntryArea& area) { inode.content_bytes = static_cast<std::uint16_t>(area.used()); }

base::Result<TreeRecord> leaf_record(View& view, InodeNumber directory, std::uint64_t cookie) {
    BASE_ASSIGN(const auto record, tree_at_or_before(view, directory, cookie));
    if (!record) return corrupted(directory, "no leaf begins at cookie 0");
    return *record;
}

// What find_entry() returns must not point into blocks that a change is about to move.
struct Place {
    std::optional<TreeRecord> leaf;  // none: in the inode
    EntryView entry;
};

base::Result<std::optional<Place>> locate(View& view, InodeNumber directory, std::string_view name) {
    BASE_ASSIGN(const auto* inode, read_directory_inode(view, directory));
    const auto cookie = base_for(view, name);
    if (inode->content == Content::directory) {
        BASE_ASSIGN(const auto entry, find_in(entries_of(*inode), name, cookie));
        if (!entry) return std::nullopt;
        return Place{std::nullopt, *entry};
    }
    BASE_ASSIGN(const auto record, leaf_record(view, directory, cookie));
    BASE_ASSIGN(const auto* leaf, read_leaf(view, directory, record));
    BASE_ASSIGN(const auto entry, find_in(entries_of(*leaf), name, cookie));
    if (!entry) return std::nullopt;
    return Place{record, *entry};
}

base::Result<Place> locate_existing(View& view, InodeNumber directory, std::string_view name) {
    BASE_ASSIGN(const auto place, locate(view, directory, name));
    if (!place) return corrupted(directory, "an entry is missing: " + std::string(name));
    return *place;
}

base::Result<void> make_tree(View& view, InodeNumber directory, Purpose purpose) {
    BASE_ASSIGN(const auto owned, create_owned_block(view, directory, BlockType::directory_leaf, purpose));
    BASE_ASSIGN(auto* inode, modify_inode(view, directory));
    auto& leaf = owned.block->as<DirectoryLeaf>();
    auto target = area_of(leaf);
    target.append(entries_of(*inode));
    BASE_TRY(store_used(leaf, target));
    auto source = area_of(*inode);
    source.clear();
    inode->content_bytes = 0;
    inode->content = Content::directory_tree;
    root_of(*inode) = {};
    return tree_insert(view, directory, {0, owned.number, 1, 0}, purpose);
}

base::Result<void> make_inline(View& view, InodeNumber directory, const TreeRecord& last_leaf) {
    BASE_TRY(tree_erase(view, directory, last_leaf.key));
    BASE_TRY(release_owned_block(view, directory, last_leaf.value));
    BASE_ASSIGN(auto* inode, modify_inode(view, directory));
    if (root_of(*inode).count != 0) return corrupted(directory, "its tree is not empty without its last leaf");
    std::ranges::fill(content_of(*inode), std::byte{0});
    inode->content = Content::directory;
    inode->content_bytes = 0;
    return {};
}

base::Result<void> insert_inline(View& view, InodeNumber directory, std::string_view name, const FoundEntry& what,
                                 std::uint64_t base) {
    BASE_ASSIGN(auto* inode, modify_inode(view, directory));
    BASE_ASSIGN(const auto cookie, free_cookie(entries_of(*inode), base));
    auto area = area_of(*inode);
    area.insert(what.inode, cookie, what.type, name);
    store_used(*inode, area);
    return {};
}

// Moves the upper part of a full leaf to a new one.
base::Result<void> split_leaf(View& view, InodeNumber directory, const TreeRecord& record, Purpose purpose) {
    BASE_ASSIGN(auto* left, modify_leaf(view, directory, record));
    BASE_ASSIGN(const auto point, split_point(entries_of(*left)));
    BASE_ASSIGN(const auto owned, create_owned_block(view, directory, BlockType::directory_leaf, purpose));
    auto& right = owned.block->as<DirectoryLeaf>();
    right.first_cookie = point.first_cookie;
    auto right_area = area_of(right);
    right_area.append(entries_of(*left).subspan(point.offset));
    BASE_TRY(store_used(right, right_area));
    auto left_area = area_of(*left);
    left_area.cut(point.offset);
    BASE_TRY(store_used(*left, left_area));
    return tree_insert(view, directory, {point.first_cookie, owned.number, 1, 0}, purpose);
}

base::Result<bool> insert_in_leaf(View& view, InodeNumber directory, std::string_view name, const FoundEntry& what,
                                  std::uint64_t base, const TreeRecord& record) {
    BASE_ASSIGN(auto* leaf, modify_leaf(view, directory, record));
    BASE_ASSIGN(const auto cookie, free_cookie(entries_of(*leaf), base));
    auto area = area_of(*leaf);
    if (!area.fits(entry_length(name.size()))) return false;
    area.insert(what.inode, cookie, what.type, name);
    BASE_TRY(store_used(*leaf, area));
    return true;
}

base::Result<void> insert_in_tree(View& view, InodeNumber directory, std::string_view name, const FoundEntry& what,
                                  std::uint64_t base, Purpose purpose) {
    // A split leaves at most about half a leaf on either side plus one hash: a second one may be needed, no third.
    for (int attempt = 0; attempt < 4; ++attempt) {
        BASE_ASSIGN(const auto record, leaf_record(view, directory, base));
        BASE_ASSIGN(const bool inserted, insert_in_leaf(view, directory, name, what, base, record));
        if (inserted) return {};
        BASE_TRY(split_leaf(view, directory, record, purpose));
    }
    return corrupted(directory, "a leaf does not get smaller when it is split");
}

// Takes over what the right neighbour holds and frees that.
base::Result<void> join_right(View& view, InodeNumber directory, const TreeRecord& record,
                              const TreeRecord& neighbour) {
    BASE_ASSIGN(auto* left, modify_leaf(view, directory, record));
    BASE_ASSIGN(const auto* right, read_leaf(view, directory, neighbour));
    auto area = area_of(*left);
    area.append(entries_of(*right));
    BASE_TRY(store_used(*left, area));
    BASE_TRY(tree_erase(view, directory, neighbour.key));
    return release_owned_block(view, directory, neighbour.value);
}

// After an entry was erased: leaves do not stay empty, and sparse ones are joined.
base::Result<void> tidy_leaf(View& view, InodeNumber directory, const TreeRecord& record) {
    BASE_ASSIGN(const auto* leaf, read_leaf(view, directory, record));
    if (leaf->used >= sparse_leaf) return {};
    if (leaf->used == 0 && record.key != 0) {
        BASE_TRY(tree_erase(view, directory, record.key));
        return release_owned_block(view, directory, record.value);
    }
    BASE_ASSIGN(const auto neighbour, tree_at_or_after(view, directory, record.key + 1));
    if (!neighbour) {
        if (leaf->used == 0) return make_inline(view, directory, record);
        return {};
    }
    BASE_ASSIGN(const auto* right, read_leaf(view, directory, *neighbour));
    if (leaf->used > 0 && std::size_t{leaf->used} + right->used > join_limit) return {};
    return join_right(view, directory, record, *neighbour);
}

ListedEntry listed(const EntryView& entry) {
    return {std::string(entry.name), {entry.inode, entry.type, entry.cookie}};
}

base::Result<void> list_from(base::ByteView entries, InodeNumber directory, std::uint64_t after, std::size_t limit,
                             std::vector<ListedEntry>& out) {
    EntryReader reader(entries);
    for (EntryView entry; out.size() < limit && reader.next(entry);) {
        if (entry.cookie > after) out.push_back(listed(entry));
    }
    if (!reader.ok()) return corrupted(directory, "entries");
    return {};
}

}  // namespace

base::Result<std::optional<FoundEntry>> find_entry(View& view, InodeNumber directory, std::string_view name) {
    BASE_ASSIGN(const auto place, locate(view, directory, name));
    if (!place) return std::nullopt;
    return FoundEntry{place->entry.inode, place->entry.type, place->entry.cookie};
}

base::Result<void> insert_entry(View& view, InodeNumber directory, std::string_view name, const FoundEntry& what,
                                Purpose purpose) {
    BASE_ASSIGN(const auto* inode, read_directory_inode(view, directory));
    const auto base = base_for(view, name);
    const bool fits_inline = inode->content_bytes + entry_length(name.size()) <= inode->content_capacity();
    if (inode->content == Content::directory && fits_inline) {
        BASE_TRY(insert_inline(view, directory, name, what, base));
    } else {
        if (inode->content == Content::directory) BASE_TRY(make_tree(view, directory, purpose));
        BASE_TRY(insert_in_tree(view, directory, name, what, base, purpose));
    }
    BASE_ASSIGN(auto* changed, modify_inode(view, directory));
    ++changed->entries;
    return {};
}

base::Result<void> replace_entry(View& view, InodeNumber directory, std::string_view name, const FoundEntry& what) {
    BASE_ASSIGN(const auto place, locate_existing(view, directory, name));
    const auto offset = place.entry.offset;
    const auto cookie = place.entry.cookie;
    if (!place.leaf) {
        BASE_ASSIGN(auto* inode, modify_inode(view, directory));
        write_entry(content_of(*inode).subspan(offset), what.inode, cookie, what.type, name);
        return {};
    }
    BASE_ASSIGN(auto* leaf, modify_leaf(view, directory, *place.leaf));
    write_entry(base::MutableByteView(leaf->entries).subspan(offset), what.inode, cookie, what.type, name);
    return {};
}

base::Result<void> remove_entry(View& view, InodeNumber directory, std::string_view name) {
    BASE_ASSIGN(const auto place, locate_existing(view, directory, name));
    BASE_ASSIGN(auto* inode, modify_inode(view, directory));
    if (inode->entries == 0) return corrupted(directory, "it has entries but counts none");
    --inode->entries;
    if (!place.leaf) {
        auto area = area_of(*inode);
        area.erase(place.entry);
        store_used(*inode, area);
        return {};
    }
    BASE_ASSIGN(auto* leaf, modify_leaf(view, directory, *place.leaf));
    auto area = area_of(*leaf);
    area.erase(place.entry);
    BASE_TRY(store_used(*leaf, area));
    return tidy_leaf(view, directory, *place.leaf);
}

base::Result<std::vector<ListedEntry>> list_entries(View& view, InodeNumber directory, std::uint64_t after,
                                                    std::size_t limit) {
    std::vector<ListedEntry> out;
    BASE_ASSIGN(const auto* inode, read_directory_inode(view, directory));
    if (inode->content == Content::directory) {
        BASE_TRY(list_from(entries_of(*inode), directory, after, limit, out));
        return out;
    }
    if (after >= max_cookie) return out;
    BASE_ASSIGN(auto record, tree_at_or_before(view, directory, after + 1));
    while (record && out.size() < limit) {
        BASE_ASSIGN(const auto* leaf, read_leaf(view, directory, *record));
        BASE_TRY(list_from(entries_of(*leaf), directory, after, limit, out));
        BASE_ASSIGN(record, tree_at_or_after(view, directory, record->key + 1));
    }
    return out;
}

}  // namespace clusterfs
