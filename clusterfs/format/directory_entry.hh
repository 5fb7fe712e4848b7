// Directory entries: packed one after the other, sorted by cookie, in the inode's content (small directories) or in
// directory leaves that a tree finds by cookie. "." and ".." are not stored (Inode::parent).
//
// A cookie is the entry's place for readdir and never changes while the entry lives: 60 bits of the name's hash, then 3
// bits that tell names with the same hash apart. The cookies 0 to 7 are not used by entries (readdir has "." and ".."
// there). All entries of one hash lie in one leaf.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.hh"
#include "clusterfs/format/block_header.hh"

namespace clusterfs {

inline constexpr std::size_t max_name_length = 255;
inline constexpr std::uint64_t max_cookie = (std::uint64_t{1} << 63) - 1;
inline constexpr unsigned cookie_collision_bits = 3;
inline constexpr std::uint64_t max_collisions = 1U << cookie_collision_bits;  // names of one hash in one directory

struct DirectoryEntry {
    std::uint64_t inode = 0;
    std::uint64_t cookie = 0;
    std::uint16_t length = 0;  // of head and name, a multiple of 8
    std::uint8_t name_length = 0;
    std::uint8_t type = 0;  // d_type: mode >> 12
    std::uint32_t reserved = 0;
    // the name follows, padded with zeros to `length`
};
static_assert(sizeof(DirectoryEntry) == 24);
static_assert(offsetof(DirectoryEntry, length) == 16);
static_assert(offsetof(DirectoryEntry, type) == 19);

inline constexpr std::size_t entry_length(std::size_t name_length) {
    return (sizeof(DirectoryEntry) + name_length + 7) / 8 * 8;
}

struct DirectoryLeaf {
    BlockHeader header;              // the owner is the directory's inode
    std::uint64_t first_cookie = 0;  // the key of the leaf's record in the tree: no entry is below
    std::uint16_t used = 0;          // bytes of entries
    std::uint16_t count = 0;         // entries
    std::uint32_t reserved = 0;
    std::byte entries[4016];
};
static_assert(offsetof(DirectoryLeaf, first_cookie) == 64);
static_assert(offsetof(DirectoryLeaf, entries) == 80);
static_assert(sizeof(DirectoryLeaf) == 4096);
// Whatever the names, the entries of one hash fit in a leaf.
static_assert(max_collisions * entry_length(max_name_length) <= sizeof(DirectoryLeaf::entries));

// The smallest cookie that a name's hash may have; never below max_collisions.
std::uint64_t cookie_base(std::string_view name, std::uint64_t seed);
// No '/', no NUL, not empty, not "." or "..", at most max_name_length bytes.
bool is_valid_name(std::string_view name);

struct EntryView {
    std::uint64_t inode = 0;
    std::uint64_t cookie = 0;
    std::uint8_t type = 0;
    std::string_view name;   // points into the bytes read
    std::size_t offset = 0;  // of the entry in them
    std::size_t length = 0;
};

// Reads entries in order. When next() is false, ok() tells the end from an entry that is not what it must be.
class EntryReader {
  public:
    explicit EntryReader(base::ByteView used_bytes) : bytes_(used_bytes) {}
    bool next(EntryView& entry);
    bool ok() const { return ok_; }

  private:
    base::ByteView bytes_;
    std::size_t offset_ = 0;
    std::uint64_t last_cookie_ = 0;
    bool ok_ = true;
};

// Writes head, name and padding at the front of `to`, which holds at least entry_length(name) bytes.
void write_entry(base::MutableByteView to, std::uint64_t inode, std::uint64_t cookie, std::uint8_t type,
                 std::string_view name);

// What is wrong with the leaf's own fields, or null (entries: EntryReader).
[[nodiscard]] const char* fault_in(const DirectoryLeaf& leaf);

}  // namespace clusterfs
