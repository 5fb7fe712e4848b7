// Extended attributes: packed entries in the last bytes of the inode's payload, and in at most one block more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.hh"
#include "clusterfs/format/block_header.hh"

namespace clusterfs {

inline constexpr std::size_t max_xattr_name_length = 255;  // with its namespace, as listxattr has it

struct XattrEntry {
    std::uint16_t length = 0;  // of head, name and value, a multiple of 8
    std::uint16_t value_length = 0;
    std::uint8_t name_length = 0;
    std::uint8_t reserved[3] = {};
    // the name (full, as "user.x") and then the value follow, padded with zeros to `length`
};
static_assert(sizeof(XattrEntry) == 8);

inline constexpr std::size_t xattr_entry_length(std::size_t name_length, std::size_t value_length) {
    return (sizeof(XattrEntry) + name_length + value_length + 7) / 8 * 8;
}

struct XattrBlock {
    BlockHeader header;  // the owner is the inode
    std::uint16_t used = 0;
    std::uint16_t count = 0;
    std::uint32_t reserved = 0;
    std::byte entries[4024];
};
static_assert(offsetof(XattrBlock, used) == 64);
static_assert(offsetof(XattrBlock, entries) == 72);
static_assert(sizeof(XattrBlock) == 4096);

struct XattrView {
    std::string_view name;  // both point into the bytes read
    base::ByteView value;
    std::size_t offset = 0;  // of the entry in them
    std::size_t length = 0;
};

// Reads entries in order. When next() is false, ok() tells the end from an entry that is not what it must be.
class XattrReader {
  public:
    explicit XattrReader(base::ByteView used_bytes) : bytes_(used_bytes) {}
    bool next(XattrView& entry);
    bool ok() const { return ok_; }

  private:
    base::ByteView bytes_;
    std::size_t offset_ = 0;
    bool ok_ = true;
};

// Writes head, name, value and padding at the front of `to`, which holds at least xattr_entry_length() bytes.
void write_xattr(base::MutableByteView to, std::string_view name, base::ByteView value);

// What is wrong with the block's own fields, or null (entries: XattrReader).
[[nodiscard]] const char* fault_in(const XattrBlock& block);

}  // namespace clusterfs
