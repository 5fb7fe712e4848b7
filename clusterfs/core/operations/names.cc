#include "clusterfs/core/operations/names.hh"

#include <algorithm>

#include "base/ensure.hh"
#include "clusterfs/core/directory.hh"
#include "clusterfs/core/operations/access.hh"
#include "clusterfs/core/operations/acl.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/core/operations/orphans.hh"
#include "clusterfs/format/directory_entry.hh"

namespace clusterfs::operations {
namespace {

constexpr std::uint32_t set_group_id = 02000;
constexpr std::size_t inodes_at_once = 16;

base::Result<InodeNumber> find_child(View& view, const Inode& directory, std::string_view name) {
    if (name == ".") return directory.header.number;
    if (name == "..") return directory.parent;
    if (name.size() > max_name_length) return base::failure(std::errc::filename_too_long);
    BASE_ASSIGN(const auto entry, find_entry(view, directory.header.number, name));
    if (!entry) return base::failure(std::errc::no_such_file_or_directory);
    return entry->inode;
}

// One small file after the other: where the new inode's lock has to be asked for, those of the next ones are asked for
// with it. Data between the inodes would take most of what is likely to be next.
base::Result<void> want_next_inodes(View& view, InodeNumber number, bool kept_open) {
    const auto& source = view.source();
    if (source.held(inode_lock(number)) != LockMode::none || !source.open_nowhere(number - 1)) return {};
    BASE_ASSIGN(const auto next, likely_next(view, number, inodes_at_once - 1));
    for (const auto inode : next) {
        view.want_soon(inode_lock(inode), LockMode::exclusive);
        if (kept_open) view.want_soon(open_lock(inode), LockMode::shared);
    }
    return {};
}

// The new inode under its lock, not in any directory yet. A setgid directory hands on its group, and to directories
// the bit.
base::Result<Inode*> make_inode(View& view, InodeNumber directory, const NewFile& what, bool kept_open) {
    BASE_ASSIGN(const auto number, allocate_inode(view, directory));
    BASE_TRY(want_next_inodes(view, number, kept_open));
    if (kept_open) {
        BASE_TRY(view.lock({{inode_lock(number), LockMode::exclusive}, {open_lock(number), LockMode::shared}}));
        BASE_TRY(view.pin(open_lock(number), LockMode::shared));
    }
    BASE_TRY(view.lock(inode_lock(number), LockMode::exclusive));
    BASE_ASSIGN(const auto* parent, read_inode(view, directory));
    const bool inherit_group = (parent->mode & set_group_id) != 0;
    const bool is_new_directory = type_of_mode(what.mode) == mode_directory;
    clusterfs::NewInode attributes;
    attributes.mode = what.mode | (inherit_group && is_new_directory ? set_group_id : 0);
    attributes.uid = what.caller.uid;
    attributes.gid = inherit_group ? parent->gid : what.caller.gid;
    attributes.device = stored_device(what.device);
    attributes.parent = is_new_directory ? directory : 0;
    attributes.goal = directory;
    BASE_ASSIGN(auto* inode, create_inode(view, number, attributes));
    BASE_TRY(apply_creation_mode(view, directory, number, what.caller.umask));
    return inode;
}

base::Result<void> enter(View& view, InodeNumber directory, std::string_view name, const Inode& inode) {
    const FoundEntry entry{inode.header.number, entry_type_of(inode.mode), 0};
    BASE_TRY(insert_entry(view, directory, name, entry));
    BASE_ASSIGN(auto* parent, modify_inode(view, directory));
    if (is_directory(inode)) ++parent->links;
    touch_modified(view, *parent);
    return {};
}

// The directory under its exclusive lock, without that name.
base::Result<void> prepare_directory(View& view, InodeReference directory, std::string_view name) {
    BASE_TRY(check_name(name, std::errc::file_exists));
    BASE_TRY(lock_directory(view, directory, LockMode::exclusive));
    BASE_ASSIGN(const auto there, find_entry(view, directory.number, name));
    if (there) return base::failure(std::errc::file_exists);
    return view.will_change();
}

base::Result<CreateAndOpen> open_existing(View& view, InodeNumber number) {
    BASE_ASSIGN(const auto* inode, lock_and_read(view, {number, 0}, LockMode::shared));
    if (is_directory(*inode)) return base::failure(std::errc::is_a_directory);
    if (!is_regular(*inode)) return CreateAndOpen{attributes_of(*inode), false, false};
    BASE_TRY(view.lock(open_lock(number), LockMode::shared));
    BASE_TRY(view.pin(open_lock(number), LockMode::shared));
    return CreateAndOpen{attributes_of(*inode), false, true};
}

bool may_be_made(std::uint32_t mode) {
    switch (type_of_mode(mode)) {
        case mode_regular:
        case mode_directory:
        case mode_fifo:
        case mode_socket:
        case mode_character_device:
        case mode_block_device:
            return true;
        default:
            return false;
    }
}

// What link() may give another name.
base::Result<void> check_linkable(const Inode& inode) {
    if (is_directory(inode)) return base::failure(std::errc::operation_not_permitted);
    if (inode.links >= max_links) return base::failure(std::errc::too_many_links);
    if (inode.links == 0 && (inode.flags & inode_orphan) == 0) {
        return base::failure(std::errc::no_such_file_or_directory);
    }
    return {};
}

}  // namespace

base::Result<Attributes> lookup(View& view, InodeReference directory, std::string_view name) {
    BASE_ASSIGN(const auto* parent, lock_and_read(view, directory, LockMode::shared));
    // "." of what is no directory is how a file handle of an export finds its inode again.
    if (!is_directory(*parent) && name != ".") return base::failure(std::errc::not_a_directory);
    BASE_ASSIGN(const auto number, find_child(view, *parent, name));
    return get_attributes(view, {number, 0});
}

base::Result<Attributes> create(View& view, InodeReference directory, std::string_view name, const NewFile& what) {
    if (!may_be_made(what.mode)) return base::failure(std::errc::invalid_argument);
    BASE_TRY(prepare_directory(view, directory, name));
    BASE_ASSIGN(const auto* inode, make_inode(view, directory.number, what, false));
    BASE_TRY(enter(view, directory.number, name, *inode));
    return attributes_of(*inode);
}

base::Result<Attributes> symlink(View& view, InodeReference directory, std::string_view name, std::string_view target,
                                 const Caller& caller) {
    if (target.empty()) return base::failure(std::errc::no_such_file_or_directory);
    if (target.size() > max_target_length) return base::failure(std::errc::filename_too_long);
    BASE_TRY(prepare_directory(view, directory, name));
    BASE_ASSIGN(auto* inode, make_inode(view, directory.number, {mode_symlink | 0777U, 0, caller}, false));
    base::copy_bytes(base::as_bytes(target), content_of(*inode));
    inode->size = target.size();
    BASE_TRY(enter(view, directory.number, name, *inode));
    return attributes_of(*inode);
}

base::Result<CreateAndOpen> create_and_open(View& view, InodeReference directory, std::string_view name,
                                            const NewFile& what, bool exclusive) {
    BASE_TRY(check_name(name, exclusive ? std::errc::file_exists : std::errc::is_a_directory));
    BASE_TRY(lock_directory(view, directory, LockMode::exclusive));
    BASE_ASSIGN(const auto there, find_entry(view, directory.number, name));
    if (there && exclusive) return base::failure(std::errc::file_exists);
    if (there) return open_existing(view, there->inode);
    BASE_TRY(view.will_change());
    auto file = what;
    file.mode = mode_regular | (what.mode & 07777U);
    BASE_ASSIGN(const auto* inode, make_inode(view, directory.number, file, true));
    BASE_TRY(enter(view, directory.number, name, *inode));
    return CreateAndOpen{attributes_of(*inode), true, true};
}

base::Result<Attributes> create_temporary(View& view, InodeReference directory, const NewFile& what) {
    BASE_TRY(lock_directory(view, directory, LockMode::exclusive));
    BASE_TRY(view.will_change());
    auto file = what;
    file.mode = mode_regular | (what.mode & 07777U);
    BASE_ASSIGN(auto* inode, make_inode(view, directory.number, file, true));
    inode->links = 0;
    BASE_TRY(add_orphan(view, inode->header.number));
    return attributes_of(*inode);
}

base::Result<Attributes> link(View& view, InodeReference reference, InodeReference directory, std::string_view name) {
    BASE_TRY(view.lock(
        {{inode_lock(reference.number), LockMode::exclusive}, {inode_lock(directory.number), LockMode::exclusive}}));
    BASE_ASSIGN(const auto* found, lock_and_read(view, reference, LockMode::exclusive));
    BASE_TRY(check_linkable(*found));
    BASE_TRY(prepare_directory(view, directory, name));
    BASE_ASSIGN(auto* inode, modify_inode(view, reference.number));
    if (inode->links == 0) BASE_TRY(remove_orphan(view, reference.number));
    ++inode->links;
    touch_changed(view, *inode);
    BASE_TRY(enter(view, directory.number, name, *inode));
    return attributes_of(*inode);
}

base::Result<std::string> read_link(View& view, InodeReference reference) {
    BASE_ASSIGN(const auto* inode, lock_and_read(view, reference, LockMode::shared));
    if (!is_symlink(*inode)) return base::failure(std::errc::invalid_argument);
    return std::string(base::as_text(content_of(*inode).first(inode->size)));
}

}  // namespace clusterfs::operations
