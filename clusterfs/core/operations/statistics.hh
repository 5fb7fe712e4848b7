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
// One such count; to be run until it is done. It goes over the allocation groups some at a time, and what it has
// counted stays counted when it is run again: so it keeps few locks from other nodes and needs few blocks in the cache,
// however large the filesystem is. Exact for each of these parts at its moment. Needs the shared lock of every
// allocation group, so other nodes write in place what they hold: remember the answer for a second or so.
class StatisticsCount {
  public:
    base::Result<Statistics> operator()(View& view);

  private:
    std::uint64_t next_group_ = 0;
    Statistics counted_;
};

}  // namespace clusterfs::operations
