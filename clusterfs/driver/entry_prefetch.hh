// Whoever looks up one name after the other in a directory that another node filled would wait once for each inode's
// lock. After two such waits the inodes of the next entries are fetched together, some dozens in the time of one.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "base/time.hh"
#include "clusterfs/core/operations/inode_reference.hh"

namespace clusterfs {

class Filesystem;

class EntryPrefetch {
  public:
    explicit EntryPrefetch(Filesystem& filesystem) : filesystem_(filesystem) {}

    // A lookup there had to wait for what it found. Any thread, but not inside an operation. Names that are not there
    // do not count: who makes files together with another node needs no locks of that node's files.
    void note_wait(operations::InodeReference directory);
    std::uint64_t batches() const;

  private:
    struct Walk {
        base::Instant last_wait;
        std::uint64_t after = 0;  // where the next batch begins
        bool running = false;
        bool complete = false;  // waits for a pause before it begins anew
    };
    void fetch(operations::InodeReference directory, std::uint64_t after);
    void fetched(InodeNumber directory, std::uint64_t last, bool complete);

    Filesystem& filesystem_;
    mutable std::mutex mutex_;
    std::map<InodeNumber, Walk> walks_;
    std::uint64_t batches_ = 0;
};

}  // namespace clusterfs
