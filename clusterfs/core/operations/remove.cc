#include "clusterfs/core/operations/remove.hh"

#include "clusterfs/core/directory.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/core/operations/access.hh"
#include "clusterfs/core/operations/orphans.hh"

namespace clusterfs::operations {
namespace {

// The inode of that name with its exclusive lock, the directory's too.
base::Result<const Inode*> find_victim(View& view, InodeReference directory, std::string_view name) {
    BASE_TRY(lock_directory(view, directory, LockMode::exclusive));
    BASE_ASSIGN(const auto entry, find_entry(view, directory.number, name));
    if (!entry) return base::failure(std::errc::no_such_file_or_directory);
    return lock_and_read(view, {entry->inode, 0}, LockMode::exclusive);
}

base::Result<Inode*> take_name(View& view, InodeNumber directory, std::string_view name, InodeNumber victim) {
    BASE_TRY(view.will_change());
    BASE_TRY(remove_entry(view, directory, name));
    BASE_ASSIGN(auto* parent, modify_inode(view, directory));
    touch_modified(view, *parent);
    return modify_inode(view, victim);
}

}  // namespace

base::Result<Removed> unlink(View& view, InodeReference directory, std::string_view name) {
    BASE_TRY(check_name(name, std::errc::is_a_directory));
    BASE_ASSIGN(const auto* victim, find_victim(view, directory, name));
    if (is_directory(*victim)) return base::failure(std::errc::is_a_directory);
    if (victim->links == 0) return base::failure(Errc::corrupted, "an inode with a name counts no links");
    BASE_ASSIGN(auto* inode, take_name(view, directory.number, name, victim->header.number));
    --inode->links;
    touch_changed(view, *inode);
    Removed removed{reference_of(*inode), false};
    if (inode->links == 0) {
        BASE_ASSIGN(removed.orphaned, lose_last_name(view, removed.inode.number));
    }
    return removed;
}

base::Result<Removed> remove_directory(View& view, InodeReference directory, std::string_view name) {
    if (name == "..") return base::failure(std::errc::directory_not_empty);
    BASE_TRY(check_name(name, std::errc::invalid_argument));
    BASE_ASSIGN(const auto* victim, find_victim(view, directory, name));
    if (!is_directory(*victim)) return base::failure(std::errc::not_a_directory);
    if (victim->entries != 0) return base::failure(std::errc::directory_not_empty);
    BASE_ASSIGN(auto* inode, take_name(view, directory.number, name, victim->header.number));
    BASE_ASSIGN(auto* parent, modify_inode(view, directory.number));
    --parent->links;
    inode->links = 0;
    touch_changed(view, *inode);
    Removed removed{reference_of(*inode), false};
    BASE_ASSIGN(removed.orphaned, lose_last_name(view, removed.inode.number));
    return removed;
}

}  // namespace clusterfs::operations
