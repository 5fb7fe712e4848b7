#include "clusterfs/core/operations/acl.hh"

#include <algorithm>

#include "clusterfs/core/inode.hh"
#include "clusterfs/core/xattr.hh"

namespace clusterfs::operations {
namespace {

constexpr std::uint32_t acl_version = 2;
constexpr std::size_t acl_entry_size = 8;

AclEntry* entry_of(Acl& acl, AclEntry::Tag tag) {
    const auto found = std::ranges::find(acl, tag, &AclEntry::tag);
    return found == acl.end() ? nullptr : &*found;
}

bool is_known(std::uint16_t tag) {
    return tag == AclEntry::user_owner || tag == AclEntry::user || tag == AclEntry::group_owner ||
           tag == AclEntry::group || tag == AclEntry::mask || tag == AclEntry::other;
}

// One of each of owner, group and other; a mask where there are named entries.
bool is_complete(const Acl& acl) {
    const auto count = [&acl](AclEntry::Tag tag) { return std::ranges::count(acl, tag, &AclEntry::tag); };
    const auto masks = count(AclEntry::mask);
    const bool named = count(AclEntry::user) + count(AclEntry::group) > 0;
    return count(AclEntry::user_owner) == 1 && count(AclEntry::group_owner) == 1 && count(AclEntry::other) == 1 &&
           masks <= 1 && (!named || masks == 1);
}

// The entry and the three bits of the mode at `shift` become what both allow.
void limit(AclEntry* entry, std::uint32_t& mode, unsigned shift) {
    if (entry == nullptr) return;
    entry->permissions &= static_cast<std::uint16_t>(mode >> shift & 7U);
    mode &= ~(7U << shift) | static_cast<std::uint32_t>(entry->permissions) << shift;
}

base::Result<std::optional<base::Bytes>> default_acl_of(View& view, InodeNumber directory) {
    BASE_ASSIGN(const auto* inode, read_inode(view, directory));
    if (inode->xattr_bytes == 0 && inode->xattr_block == 0) return std::nullopt;
    return find_xattr(view, directory, default_acl_name);
}

}  // namespace

base::Result<Acl> parse_acl(base::ByteView bytes) {
    if (bytes.empty()) return Acl{};
    base::ByteReader reader(bytes);
    if (reader.integer<std::uint32_t>() != acl_version) return base::failure(std::errc::operation_not_supported);
    Acl acl;
    while (reader.ok() && reader.remaining() >= acl_entry_size) {
        AclEntry entry;
        entry.tag = reader.integer<std::uint16_t>();
        entry.permissions = reader.integer<std::uint16_t>();
        entry.id = reader.integer<std::uint32_t>();
        if (!is_known(entry.tag) || entry.permissions > 7) return base::failure(std::errc::invalid_argument);
        acl.push_back(entry);
    }
    if (!reader.complete()) return base::failure(std::errc::invalid_argument);
    if (!acl.empty() && !is_complete(acl)) return base::failure(std::errc::invalid_argument);
    return acl;
}

base::Bytes encode_acl(const Acl& acl) {
    base::ByteWriter writer;
    writer.integer(acl_version);
    for (const auto& entry : acl) writer.integer(entry.tag).integer(entry.permissions).integer(entry.id);
    return writer.take();
}

bool is_minimal(const Acl& acl) {
    return std::ranges::all_of(acl, [](const AclEntry& entry) {
        return entry.tag == AclEntry::user_owner || entry.tag == AclEntry::group_owner || entry.tag == AclEntry::other;
    });
}

std::uint32_t permissions_of(const Acl& acl) {
    auto copy = acl;
    const auto bits = [&copy](AclEntry::Tag tag) -> std::uint32_t {
        const auto* entry = entry_of(copy, tag);
        return entry == nullptr ? 0 : entry->permissions;
    };
    const auto* mask = entry_of(copy, AclEntry::mask);
    const std::uint32_t group = mask == nullptr ? bits(AclEntry::group_owner) : mask->permissions;
    return bits(AclEntry::user_owner) << 6 | group << 3 | bits(AclEntry::other);
}

void set_permissions(Acl& acl, std::uint32_t mode) {
    const auto set = [](AclEntry* entry, std::uint32_t bits) {
        if (entry != nullptr) entry->permissions = static_cast<std::uint16_t>(bits & 7U);
    };
    auto* mask = entry_of(acl, AclEntry::mask);
    set(entry_of(acl, AclEntry::user_owner), mode >> 6);
    set(mask != nullptr ? mask : entry_of(acl, AclEntry::group_owner), mode >> 3);
    set(entry_of(acl, AclEntry::other), mode);
}

std::uint32_t inherit(Acl& acl, std::uint32_t mode) {
    auto* mask = entry_of(acl, AclEntry::mask);
    limit(entry_of(acl, AclEntry::user_owner), mode, 6);
    limit(mask != nullptr ? mask : entry_of(acl, AclEntry::group_owner), mode, 3);
    limit(entry_of(acl, AclEntry::other), mode, 0);
    return mode;
}

base::Result<void> change_acl_permissions(View& view, InodeNumber number, std::uint32_t mode) {
    BASE_ASSIGN(const auto* inode, read_inode(view, number));
    if (inode->xattr_bytes == 0 && inode->xattr_block == 0) return {};
    BASE_ASSIGN(const auto stored, find_xattr(view, number, access_acl_name));
    if (!stored) return {};
    BASE_ASSIGN(auto acl, parse_acl(*stored));
    set_permissions(acl, mode);
    return put_xattr(view, number, access_acl_name, encode_acl(acl));
}

base::Result<void> apply_creation_mode(View& view, InodeNumber directory, InodeNumber number, std::uint32_t umask) {
    BASE_ASSIGN(auto* inode, modify_inode(view, number));
    if (is_symlink(*inode)) return {};
    BASE_ASSIGN(const auto stored, default_acl_of(view, directory));
    if (!stored) {
        inode->mode &= ~(umask & 0777U);
        return {};
    }
    const bool directory_made = is_directory(*inode);
    BASE_ASSIGN(auto acl, parse_acl(*stored));
    inode->mode = inherit(acl, inode->mode);
    if (!is_minimal(acl)) BASE_TRY(put_xattr(view, number, access_acl_name, encode_acl(acl)));
    if (directory_made) BASE_TRY(put_xattr(view, number, default_acl_name, *stored));
    return {};
}

}  // namespace clusterfs::operations
