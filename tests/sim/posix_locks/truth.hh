// What the owners of locks were told, byte by byte: the judge of all nodes.
#pragma once

#include <array>
#include <map>

#include "base/node.hh"
#include "clusterfs/core/posix_lock_table.hh"

namespace sim_posix_locks {

inline constexpr std::uint64_t file_size = 8;  // bytes that anybody locks

class Truth {
  public:
    struct Owner {
        base::NodeIncarnation life;
        std::uint64_t id = 0;
        auto operator<=>(const Owner&) const = default;
    };

    // From the moment in which it asks, an owner counts on no more than what every outcome includes.
    void asked(const Owner& owner, const clusterfs::AdvisoryRequest& request);
    // Throws sim::Violation if somebody else counts on what excludes this.
    void granted(const Owner& owner, const clusterfs::AdvisoryRequest& request);
    // Nobody in that life counts on anything any more.
    void over(const base::NodeIncarnation& life);
    // Throws if the table of that life's own node has not all that its owners count on.
    void check(const base::NodeIncarnation& life, base::GroupMember member,
               const clusterfs::PosixLockTable& table) const;
    bool nothing_held() const { return held_.empty(); }

  private:
    struct Key {
        clusterfs::InodeNumber inode = 0;
        clusterfs::AdvisoryKind kind = clusterfs::AdvisoryKind::range;
        Owner owner;
        auto operator<=>(const Key&) const = default;
    };
    using Modes = std::array<clusterfs::AdvisoryMode, file_size>;

    Modes& modes(const Owner& owner, const clusterfs::AdvisoryRequest& request);
    void forget_empty();

    std::map<Key, Modes> held_;
};

}  // namespace sim_posix_locks
