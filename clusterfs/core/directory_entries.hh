// Packed directory entries in a piece of memory: of an inode's content or of a directory leaf. Pure bytes, no view.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.hh"
#include "base/error.hh"
#include "clusterfs/format/directory_entry.hh"

namespace clusterfs {

// The room for entries and how much of it is used. Changes what it was made from only in its bytes: the caller stores
// used() where the structure has it.
class EntryArea {
  public:
    EntryArea(base::MutableByteView room, std::size_t used) : room_(room), used_(used) {}

    std::size_t used() const { return used_; }
    base::ByteView entries() const { return room_.first(used_); }
    bool fits(std::size_t length) const { return used_ + length <= room_.size(); }

    // Keeps the order of cookies. There must be room.
    void insert(std::uint64_t inode, std::uint64_t cookie, std::uint8_t type, std::string_view name);
    void erase(const EntryView& entry);
    // Appends packed entries whose cookies are all larger.
    void append(base::ByteView packed);
    void clear() { cut(0); }
    // Keeps the first `bytes` bytes.
    void cut(std::size_t bytes);

  private:
    base::MutableByteView room_;
    std::size_t used_;
};

// Errc::corrupted when the entries are not what they must be.
base::Result<std::optional<EntryView>> find_in(base::ByteView entries, std::string_view name,
                                               std::uint64_t cookie_base);
// The first cookie of this hash that no entry has; ENOSPC when all are taken.
base::Result<std::uint64_t> free_cookie(base::ByteView entries, std::uint64_t cookie_base);
base::Result<std::uint16_t> count_in(base::ByteView entries);

// Where to cut a leaf in two so that the larger half is as small as can be and no hash is divided.
struct SplitPoint {
    std::size_t offset = 0;          // of the first entry of the right half
    std::uint64_t first_cookie = 0;  // of the right half: the base of its first hash
};
// Errc::corrupted when there is only one hash (which a leaf always has room for).
base::Result<SplitPoint> split_point(base::ByteView entries);

}  // namespace clusterfs
