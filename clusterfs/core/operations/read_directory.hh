// readdir, readdirplus.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hh"
#include "clusterfs/core/operations/attributes.hh"
#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs::operations {

struct DirectoryItem {
    std::string name;
    InodeNumber inode = 0;
    std::uint32_t type = 0;    // the S_IFMT bits of its mode
    std::uint64_t cookie = 0;  // the offset that continues after this entry; positive as a signed number, stable for
                               // as long as the entry exists, whatever else is made or removed
    std::optional<Attributes> attributes;
};

enum class WithAttributes { no, yes };

// Up to `limit` entries after the one with cookie `after` (0: from the start), "." and ".." first. Empty at the end.
// With attributes the locks and inodes of all these entries are fetched at once; "." and ".." come without.
base::Result<std::vector<DirectoryItem>> read_directory(View& view, InodeReference directory, std::uint64_t after,
                                                        std::size_t limit, WithAttributes with);

}  // namespace clusterfs::operations
