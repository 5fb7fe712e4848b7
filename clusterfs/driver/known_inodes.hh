// Which inodes the kernel knows, and in which generation: a node id is only a number, the inode behind it may have been
// deleted by another node and the number used again.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "clusterfs/core/block.hh"

namespace clusterfs {

class KnownInodes {
  public:
    // A reply that hands the inode out is about to be sent. The kernel gives back every single one (forget).
    void remember(InodeNumber inode, std::uint64_t generation);
    // True: it does not know it any more.
    bool forget(InodeNumber inode, std::uint64_t lookups);
    // 0: not known (which operations read as "any generation").
    std::uint64_t generation(InodeNumber inode) const;
    bool knows(InodeNumber inode) const { return find(inode).lookups > 0; }
    std::size_t size() const;

  private:
    struct Known {
        std::uint64_t generation = 0;
        std::uint64_t lookups = 0;
    };
    struct Shard {
        mutable std::mutex mutex;
        std::unordered_map<InodeNumber, Known> inodes;
    };
    static constexpr std::size_t shard_count = 16;

    Known find(InodeNumber inode) const;
    Shard& shard(InodeNumber inode) { return shards_[inode % shard_count]; }
    const Shard& shard(InodeNumber inode) const { return shards_[inode % shard_count]; }

    std::array<Shard, shard_count> shards_;
};

}  // namespace clusterfs
