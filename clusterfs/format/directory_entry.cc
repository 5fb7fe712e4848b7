#include "clusterfs/format/directory_entry.hh"

#include <algorithm>
#include <cstring>

#include "base/hash.hh"

namespace clusterfs {

std::uint64_t cookie_base(std::string_view name, std::uint64_t seed) {
    const auto hash = base::checksum(base::as_bytes(name), seed) >> (64 - 60);
    return std::max<std::uint64_t>(hash, 1) << cookie_collision_bits;
}

bool is_valid_name(std::string_view name) {
    if (name.empty() || name.size() > max_name_length || name == "." || name == "..") return false;
    return name.find('/') == name.npos && name.find('\0') == name.npos;
}

bool EntryReader::next(EntryView& entry) {
    if (!ok_ || offset_ == bytes_.size()) return false;
    ok_ = false;
    const auto rest = bytes_.subspan(offset_);
    DirectoryEntry head;
    if (rest.size() < sizeof head) return false;
    std::memcpy(&head, rest.data(), sizeof head);
    if (head.length != entry_length(head.name_length) || head.length > rest.size()) return false;
    const auto name = base::as_text(rest.subspan(sizeof head, head.name_length));
    if (!is_valid_name(name) || head.cookie <= last_cookie_ || head.cookie > max_cookie) return false;
    ok_ = true;
    entry = {head.inode, head.cookie, head.type, name, offset_, head.length};
    last_cookie_ = head.cookie;
    offset_ += head.length;
    return true;
}

void write_entry(base::MutableByteView to, std::uint64_t inode, std::uint64_t cookie, std::uint8_t type,
                 std::string_view name) {
    DirectoryEntry head;
    head.inode = inode;
    head.cookie = cookie;
    head.length = static_cast<std::uint16_t>(entry_length(name.size()));
    head.name_length = static_cast<std::uint8_t>(name.size());
    head.type = type;
    std::memset(to.data(), 0, head.length);
    std::memcpy(to.data(), &head, sizeof head);
    std::memcpy(to.data() + sizeof head, name.data(), name.size());
}

const char* fault_in(const DirectoryLeaf& leaf) {
    if (leaf.header.magic != BlockType::directory_leaf) return "not a directory leaf";
    if (leaf.used > sizeof(DirectoryLeaf::entries) || leaf.used % 8 != 0) return "its entries are too long";
    return nullptr;
}

}  // namespace clusterfs
