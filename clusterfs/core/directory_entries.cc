#include "clusterfs/core/directory_entries.hh"

#include <algorithm>
#include <cstring>

#include "base/ensure.hh"
#include "clusterfs/core/error.hh"

namespace clusterfs {
namespace {

constexpr std::uint64_t base_of(std::uint64_t cookie) { return cookie & ~(max_collisions - 1); }

std::unexpected<base::Error> bad_entries() { return base::failure(Errc::corrupted, "directory entries"); }

}  // namespace

void EntryArea::insert(std::uint64_t inode, std::uint64_t cookie, std::uint8_t type, std::string_view name) {
    const auto length = entry_length(name.size());
    base::ensure(fits(length), "a directory entry does not fit where it was put");
    std::size_t place = 0;
    EntryReader reader(entries());
    for (EntryView entry; reader.next(entry) && entry.cookie < cookie;) place = entry.offset + entry.length;
    std::memmove(room_.data() + place + length, room_.data() + place, used_ - place);
    write_entry(room_.subspan(place), inode, cookie, type, name);
    used_ += length;
}

void EntryArea::erase(const EntryView& entry) {
    const auto offset = entry.offset;
    const auto length = entry.length;
    base::ensure(offset + length <= used_, "a directory entry outside of its area is erased");
    std::memmove(room_.data() + offset, room_.data() + offset + length, used_ - offset - length);
    cut(used_ - length);
}

void EntryArea::append(base::ByteView packed) {
    base::ensure(fits(packed.size()), "directory entries do not fit where they were put");
    base::copy_bytes(packed, room_.subspan(used_));
    used_ += packed.size();
}

void EntryArea::cut(std::size_t bytes) {
    std::ranges::fill(room_.subspan(bytes), std::byte{0});
    used_ = bytes;
}

base::Result<std::optional<EntryView>> find_in(base::ByteView entries, std::string_view name,
                                               std::uint64_t cookie_base) {
    EntryReader reader(entries);
    for (EntryView entry; reader.next(entry);) {
        if (entry.cookie < cookie_base) continue;
        if (base_of(entry.cookie) > cookie_base) break;
        if (entry.name == name) return entry;
    }
    if (!reader.ok()) return bad_entries();
    return std::nullopt;
}

base::Result<std::uint64_t> free_cookie(base::ByteView entries, std::uint64_t cookie_base) {
    auto candidate = cookie_base;
    EntryReader reader(entries);
    for (EntryView entry; reader.next(entry);) {
        if (entry.cookie == candidate) ++candidate;
    }
    if (!reader.ok()) return bad_entries();
    if (base_of(candidate) != cookie_base) {
        return base::failure(std::errc::no_space_on_device, "too many names of one hash");
    }
    return candidate;
}

base::Result<std::uint16_t> count_in(base::ByteView entries) {
    std::uint16_t count = 0;
    EntryReader reader(entries);
    for (EntryView entry; reader.next(entry);) ++count;
    if (!reader.ok()) return bad_entries();
    return count;
}

base::Result<SplitPoint> split_point(base::ByteView entries) {
    SplitPoint best;
    auto best_size = entries.size();
    std::uint64_t previous = 0;
    EntryReader reader(entries);
    for (EntryView entry; reader.next(entry);) {
        const auto hash = base_of(entry.cookie);
        const auto larger = std::max(entry.offset, entries.size() - entry.offset);
        if (entry.offset > 0 && hash != previous && larger < best_size) {
            best = {entry.offset, hash};
            best_size = larger;
        }
        previous = hash;
    }
    if (!reader.ok() || best.offset == 0) return bad_entries();
    return best;
}

}  // namespace clusterfs
