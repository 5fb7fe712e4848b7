#include "clusterfs/core/operations/extended_attributes.hh"

#include "clusterfs/core/operations/access.hh"
#include "clusterfs/core/operations/acl.hh"
#include "clusterfs/core/xattr.hh"
#include "clusterfs/format/xattr.hh"

namespace clusterfs::operations {
namespace {

constexpr std::size_t max_value_length = 65536;

base::Result<void> check_xattr_name(std::string_view name) {
    if (name.empty() || name.size() > max_xattr_name_length) return base::failure(std::errc::result_out_of_range);
    return {};
}

bool is_acl(std::string_view name) { return name == access_acl_name || name == default_acl_name; }

base::Result<void> check_mode(View& view, InodeNumber inode, std::string_view name, XattrMode mode) {
    if (mode == XattrMode::create_or_replace) return {};
    BASE_ASSIGN(const auto there, find_xattr(view, inode, name));
    if (there && mode == XattrMode::create_only) return base::failure(std::errc::file_exists);
    if (!there && mode == XattrMode::replace_only) return base::failure(std::errc::no_message_available);
    return {};
}

// An access ACL is permission bits too; one that says no more than they do is not stored. An empty ACL removes.
base::Result<void> put_acl(View& view, Inode& inode, std::string_view name, base::ByteView value) {
    const auto number = inode.header.number;
    BASE_ASSIGN(const auto acl, parse_acl(value));
    const bool access = name == access_acl_name;
    if (!access && !is_directory(inode)) return base::failure(std::errc::permission_denied);
    if (access && !acl.empty()) inode.mode = (inode.mode & ~0777U) | permissions_of(acl);
    if (!acl.empty() && !(access && is_minimal(acl))) return put_xattr(view, number, name, value);
    BASE_TRY(erase_xattr(view, number, name));
    return {};
}

}  // namespace

base::Result<base::Bytes> get_xattr(View& view, InodeReference reference, std::string_view name) {
    BASE_TRY(check_xattr_name(name));
    BASE_TRY(lock_and_read(view, reference, LockMode::shared));
    BASE_ASSIGN(auto value, find_xattr(view, reference.number, name));
    if (!value) return base::failure(std::errc::no_message_available);
    return *std::move(value);
}

base::Result<void> set_xattr(View& view, InodeReference reference, std::string_view name, base::ByteView value,
                             XattrMode mode) {
    BASE_TRY(check_xattr_name(name));
    if (value.size() > max_value_length) return base::failure(std::errc::argument_list_too_long);
    BASE_TRY(lock_and_read(view, reference, LockMode::exclusive));
    BASE_TRY(check_mode(view, reference.number, name, mode));
    BASE_ASSIGN(auto* inode, lock_and_modify(view, reference));
    if (is_acl(name)) {
        BASE_TRY(put_acl(view, *inode, name, value));
    } else {
        BASE_TRY(put_xattr(view, reference.number, name, value));
    }
    touch_changed(view, *inode);
    return {};
}

base::Result<std::vector<std::string>> list_xattrs(View& view, InodeReference reference) {
    BASE_TRY(lock_and_read(view, reference, LockMode::shared));
    return xattr_names(view, reference.number);
}

base::Result<void> remove_xattr(View& view, InodeReference reference, std::string_view name) {
    BASE_TRY(check_xattr_name(name));
    BASE_ASSIGN(auto* inode, lock_and_modify(view, reference));
    BASE_ASSIGN(const bool found, erase_xattr(view, reference.number, name));
    if (!found) return base::failure(std::errc::no_message_available);
    touch_changed(view, *inode);
    return {};
}

}  // namespace clusterfs::operations
