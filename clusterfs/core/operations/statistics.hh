// statfs.
#pragma once

#include <cstdint>

#include "base/error.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs::operations {

struct Statistics {
    std::uint64_t blocks = 0;  // of 4 KiB, that files can use
    std::uint64_t free = 0;
    std::uint64_t available = 0;    // to everybody
    std::uint64_t inodes = 0;       // of which files could be made at most: every block can become an inode
    std::uint64_t free_inodes = 0;  // every available block
};
// Exact at the moment of the answer. Needs the shared lock of every allocation group, so other nodes write in place
// what they hold: remember the answer for a second or so.
base::Result<Statistics> get_statistics(View& view);

}  // namespace clusterfs::operations
