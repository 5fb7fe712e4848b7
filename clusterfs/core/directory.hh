// Entries of directories, over a view with the directory's inode lock held (exclusively for changes). Small directories
// lie in the inode; larger ones in leaves that the inode's tree finds by cookie (format/directory_entry.hh). The first
// leaf's key is always 0. Names are not checked here; links and times are the caller's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clusterfs/core/allocator.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs {

struct FoundEntry {
    InodeNumber inode = 0;
    std::uint8_t type = 0;  // mode >> 12
    std::uint64_t cookie = 0;
};
[[nodiscard]] base::Result<std::optional<FoundEntry>> find_entry(View& view, InodeNumber directory,
                                                                 std::string_view name);

// The name must not be there (find_entry() tells). ENOSPC when a block is needed and there is none, or when a directory
// has max_collisions names of the same hash.
[[nodiscard]] base::Result<void> insert_entry(View& view, InodeNumber directory, std::string_view name,
                                              const FoundEntry& what, Purpose purpose = Purpose::metadata);
// Lets a name that is there stand for another inode; never needs space.
[[nodiscard]] base::Result<void> replace_entry(View& view, InodeNumber directory, std::string_view name,
                                               const FoundEntry& what);
// The name must be there; never needs space.
[[nodiscard]] base::Result<void> remove_entry(View& view, InodeNumber directory, std::string_view name);

struct ListedEntry {
    std::string name;
    FoundEntry found;
};
// Up to `limit` entries with cookies above `after`, in the order of cookies.
[[nodiscard]] base::Result<std::vector<ListedEntry>> list_entries(View& view, InodeNumber directory,
                                                                  std::uint64_t after, std::size_t limit);

}  // namespace clusterfs
