#include "clusterfs/core/operations/access.hh"

#include "clusterfs/core/error.hh"
#include "clusterfs/core/xattr.hh"
#include "clusterfs/format/directory_entry.hh"

namespace clusterfs::operations {

base::Result<const Inode*> lock_and_read(View& view, InodeReference reference, LockMode mode) {
    BASE_TRY(view.lock(inode_lock(reference.number), mode));
    BASE_ASSIGN(const auto* inode, read_inode(view, reference.number));
    if (reference.generation != 0 && reference.generation != inode->generation) {
        return base::failure(Errc::stale_inode, "inode " + std::to_string(reference.number));
    }
    return inode;
}

base::Result<Inode*> lock_and_modify(View& view, InodeReference reference) {
    BASE_TRY(lock_and_read(view, reference, LockMode::exclusive));
    BASE_TRY(view.will_change());
    return modify_inode(view, reference.number);
}

base::Result<const Inode*> lock_directory(View& view, InodeReference reference, LockMode mode) {
    BASE_ASSIGN(const auto* inode, lock_and_read(view, reference, mode));
    if (!is_directory(*inode)) return base::failure(std::errc::not_a_directory);
    if (inode->links == 0) return base::failure(std::errc::no_such_file_or_directory);
    return inode;
}

base::Result<void> require_regular(const Inode& inode) {
    if (is_directory(inode)) return base::failure(std::errc::is_a_directory);
    if (!is_regular(inode)) return base::failure(std::errc::invalid_argument);
    return {};
}

Attributes attributes_of(const Inode& inode) {
    Attributes out;
    out.inode = inode.header.number;
    out.generation = inode.generation;
    out.mode = inode.mode;
    out.links = inode.links;
    out.uid = inode.uid;
    out.gid = inode.gid;
    out.device = device_of(inode.device);
    out.size = is_directory(inode) ? (inode.blocks + 1) * block_size : inode.size;
    out.blocks = inode.blocks;
    out.accessed = {inode.accessed};
    out.modified = {inode.modified};
    out.changed = {inode.changed};
    return out;
}

std::uint64_t stored_device(std::uint64_t device) {
    const auto major = (device >> 8 & 0xfff) | (device >> 32 & 0xfffff000);
    const auto minor = (device & 0xff) | (device >> 12 & 0xffffff00);
    return major << 32 | minor;
}

std::uint64_t device_of(std::uint64_t stored) {
    const auto major = stored >> 32;
    const auto minor = stored & 0xffffffff;
    return (minor & 0xff) | (major & 0xfff) << 8 | (minor & 0xffffff00) << 12 | (major & 0xfffff000) << 32;
}

base::Result<void> check_name(std::string_view name, std::errc dots) {
    if (name.size() > max_name_length) return base::failure(std::errc::filename_too_long);
    if (name == "." || name == "..") return base::failure(dots);
    if (!is_valid_name(name)) return base::failure(std::errc::invalid_argument);
    return {};
}

base::Result<void> drop_privileges(View& view, InodeNumber number) {
    BASE_ASSIGN(const auto* inode, read_inode(view, number));
    if (is_directory(*inode)) return {};
    auto mode = inode->mode & ~04000U;
    if ((mode & 00010U) != 0) mode &= ~02000U;
    if (mode != inode->mode) {
        BASE_ASSIGN(auto* changed, modify_inode(view, number));
        changed->mode = mode;
    }
    if (inode->xattr_bytes == 0 && inode->xattr_block == 0) return {};
    BASE_ASSIGN(const auto capability, find_xattr(view, number, "security.capability"));
    if (capability) BASE_TRY(erase_xattr(view, number, "security.capability"));
    return {};
}

}  // namespace clusterfs::operations
