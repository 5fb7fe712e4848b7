// Inodes without a name that are being deleted, in bounded steps, besides everything else.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/driver/mount_driver.hh"

namespace clusterfs {

class Deletions {
  public:
    explicit Deletions(MountDriver& driver) : driver_(driver) {}

    // Deletes it if nobody has it open. `first_step_done` (may be empty) runs after the first step, which is all it
    // takes for most files: who waits for it finds the space given back.
    void start(operations::InodeReference inode, std::function<void()> first_step_done);
    // Runs `go` when nothing is being deleted (at once, perhaps).
    void when_idle(std::function<void()> go);
    std::size_t running() const;

  private:
    void step(operations::InodeReference inode, std::function<void()> first_step_done);
    void ended();

    MountDriver& driver_;
    mutable std::mutex mutex_;
    std::size_t running_ = 0;
    std::vector<std::function<void()>> waiting_;
};

}  // namespace clusterfs
