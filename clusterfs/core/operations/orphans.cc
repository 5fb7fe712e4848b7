#include "clusterfs/core/operations/orphans.hh"

#include <charconv>

#include "clusterfs/core/directory.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/core/operations/access.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/format/directory_entry.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs::operations {
namespace {

// Larger files are deleted after the answer to unlink, in steps of their own.
constexpr std::uint64_t little_work_blocks = 2048;

base::Result<InodeNumber> orphan_directory(const View& view, std::uint32_t slot) {
    const auto& superblock = view.superblock();
    if (slot >= superblock.slot_count || slot >= max_slots) {
        return base::failure(Errc::corrupted, "slot " + std::to_string(slot) + " of an orphan does not exist");
    }
    return superblock.slots[slot].orphan_directory;
}

// Somebody has the inode open: false.
base::Result<bool> nobody_has_it_open(View& view, InodeNumber inode) {
    if (view.source().open_nowhere(inode)) return true;
    auto taken = view.lock(open_lock(inode), LockMode::exclusive);
    if (taken) return true;
    if (taken.error().code == std::errc::device_or_resource_busy) return false;
    return std::unexpected(std::move(taken).error());
}

base::Result<InodeNumber> number_of(const ListedEntry& entry) {
    InodeNumber number = 0;
    const auto* end = entry.name.data() + entry.name.size();
    const auto parsed = std::from_chars(entry.name.data(), end, number, 16);
    if (parsed.ec != std::errc{} || parsed.ptr != end || number != entry.found.inode) {
        return base::failure(Errc::corrupted, "an orphan is called " + entry.name);
    }
    return number;
}

// An orphan's content goes first, then its entry and the inode, in the last step.
base::Result<Deletion> delete_step(View& view, InodeNumber number) {
    BASE_TRY(view.will_change());
    BASE_ASSIGN(const bool empty, free_content(view, number));
    if (!empty) return Deletion::more;
    BASE_TRY(remove_orphan(view, number));
    BASE_TRY(free_inode(view, number));
    return Deletion::done;
}

}  // namespace

std::string orphan_name(InodeNumber inode) {
    char text[16];
    const auto end = std::to_chars(text, text + sizeof text, inode, 16).ptr;
    return {text, end};
}

base::Result<void> add_orphan(View& view, InodeNumber number) {
    const auto slot = view.source().slot();
    BASE_ASSIGN(const auto directory, orphan_directory(view, slot));
    BASE_TRY(view.lock(inode_lock(directory), LockMode::exclusive));
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    inode->flags |= inode_orphan;
    inode->orphan_slot = slot;
    return insert_entry(view, directory, orphan_name(number), {number, entry_type_of(inode->mode), 0},
                        Purpose::metadata_to_free);
}

base::Result<void> remove_orphan(View& view, InodeNumber number) {
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    BASE_ASSIGN(const auto directory, orphan_directory(view, inode->orphan_slot));
    BASE_TRY(view.lock(inode_lock(directory), LockMode::exclusive));
    BASE_TRY(remove_entry(view, directory, orphan_name(number)));
    inode->flags &= ~std::uint32_t{inode_orphan};
    inode->orphan_slot = 0;
    return {};
}

base::Result<bool> lose_last_name(View& view, InodeNumber number) {
    BASE_ASSIGN(const auto* inode, read_inode(view, number));
    if (inode->blocks <= little_work_blocks) {
        BASE_ASSIGN(const bool unused, nobody_has_it_open(view, number));
        if (unused) {
            BASE_ASSIGN(const bool empty, free_content(view, number));
            if (empty) {
                BASE_TRY(free_inode(view, number));
                return false;
            }
        }
    }
    BASE_TRY(add_orphan(view, number));
    return true;
}

base::Result<Attributes> open(View& view, InodeReference reference) {
    BASE_TRY(
        view.lock({{inode_lock(reference.number), LockMode::shared}, {open_lock(reference.number), LockMode::shared}}));
    BASE_ASSIGN(const auto* inode, lock_and_read(view, reference, LockMode::shared));
    BASE_TRY(view.pin(open_lock(reference.number), LockMode::shared));
    return attributes_of(*inode);
}

base::Result<Deletion> delete_orphan(View& view, InodeReference reference) {
    auto found = lock_and_read(view, reference, LockMode::exclusive);
    if (!found && found.error().code == Errc::stale_inode) return Deletion::done;
    BASE_ASSIGN(const auto* inode, std::move(found));
    if (inode->links > 0 || (inode->flags & inode_orphan) == 0) return Deletion::linked;
    BASE_ASSIGN(const bool unused, nobody_has_it_open(view, reference.number));
    if (!unused) return Deletion::in_use;
    return delete_step(view, reference.number);
}

base::Result<std::vector<InodeReference>> list_orphans(View& view, std::uint32_t slot, InodeNumber after,
                                                       std::size_t limit) {
    BASE_ASSIGN(const auto directory, orphan_directory(view, slot));
    BASE_TRY(view.lock(inode_lock(directory), LockMode::shared));
    std::uint64_t cookie = 0;
    if (after != 0) {
        cookie = cookie_base(orphan_name(after), view.superblock().directory_hash_seed) + max_collisions - 1;
    }
    BASE_ASSIGN(const auto entries, list_entries(view, directory, cookie, limit));
    std::vector<InodeReference> orphans;
    for (const auto& entry : entries) {
        BASE_ASSIGN(const auto number, number_of(entry));
        orphans.push_back({number, 0});
    }
    return orphans;
}

}  // namespace clusterfs::operations
