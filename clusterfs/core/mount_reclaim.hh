// Makes free metadata blocks free again (README, invariant 5): at a mount that found itself the only one, with every
// journal empty, before anything else is done and while S0 keeps others from mounting. Only so is it certain that no
// journal holds a record of such a block.
#pragma once

#include <cstdint>
#include <functional>

#include "clusterfs/core/mount_operations.hh"

namespace clusterfs {

class MountReclaim {
  public:
    explicit MountReclaim(MountOperations& operations) : operations_(operations) {}
    MountReclaim(const MountReclaim&) = delete;
    MountReclaim& operator=(const MountReclaim&) = delete;

    // One operation for each allocation group. What cannot be read is left to fsck: it ends there.
    void run(std::uint64_t groups, std::function<void()> done);
    std::uint64_t reclaimed() const { return reclaimed_; }

  private:
    void next();

    MountOperations& operations_;
    std::uint64_t groups_ = 0;
    std::uint64_t group_ = 0;
    std::uint32_t in_group_ = 0;
    std::uint64_t reclaimed_ = 0;
    std::function<void()> done_;
};

}  // namespace clusterfs
