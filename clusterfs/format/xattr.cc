#include "clusterfs/format/xattr.hh"

#include <cstring>

namespace clusterfs {

bool XattrReader::next(XattrView& entry) {
    if (!ok_ || offset_ == bytes_.size()) return false;
    ok_ = false;
    const auto rest = bytes_.subspan(offset_);
    XattrEntry head;
    if (rest.size() < sizeof head) return false;
    std::memcpy(&head, rest.data(), sizeof head);
    if (head.name_length == 0 || head.length != xattr_entry_length(head.name_length, head.value_length)) return false;
    if (head.length > rest.size()) return false;
    const auto name = base::as_text(rest.subspan(sizeof head, head.name_length));
    if (name.find('\0') != name.npos) return false;
    ok_ = true;
    entry = {name, rest.subspan(sizeof head + head.name_length, head.value_length), offset_, head.length};
    offset_ += head.length;
    return true;
}

void write_xattr(base::MutableByteView to, std::string_view name, base::ByteView value) {
    XattrEntry head;
    head.length = static_cast<std::uint16_t>(xattr_entry_length(name.size(), value.size()));
    head.value_length = static_cast<std::uint16_t>(value.size());
    head.name_length = static_cast<std::uint8_t>(name.size());
    std::memset(to.data(), 0, head.length);
    std::memcpy(to.data(), &head, sizeof head);
    std::memcpy(to.data() + sizeof head, name.data(), name.size());
    if (!value.empty()) std::memcpy(to.data() + sizeof head + name.size(), value.data(), value.size());
}

const char* fault_in(const XattrBlock& block) {
    if (block.header.magic != BlockType::xattr) return "not a block of extended attributes";
    if (block.used > sizeof(XattrBlock::entries) || block.used % 8 != 0) return "its attributes are too long";
    return nullptr;
}

}  // namespace clusterfs
