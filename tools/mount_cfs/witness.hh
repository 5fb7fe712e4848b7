// A process beside the mount that outlives it: when the mount dies, it asks blockrepd whether all that it had in flight
// has ended, has the kernel drop what it had cached, and tells the other nodes, so that nobody shoots this machine for
// the death of a process.
#pragma once

#include <string>

#include "base/io/file_descriptor.hh"
#include "base/uuid.hh"

namespace mount_cfs {

// In the mount: the line to its witness. A witness whose line ends without release() takes its mount for dead.
class Witness {
  public:
    // Before any thread is started.
    static Witness split();
    Witness() = default;

    // From now on it watches this mount.
    void watch(const std::string& resource, const base::Uuid& mount, const base::Uuid& machine);
    // From now on it also ends what is left of the mount should that not be able to end (dead_mount).
    void mounted(const std::string& mountpoint);
    // The mount ends in good order.
    void release();

  private:
    base::FileDescriptor line_;
};

}  // namespace mount_cfs
