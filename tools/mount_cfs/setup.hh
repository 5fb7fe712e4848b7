// Where device and locks of a mount come from.
#pragma once

#include <memory>
#include <string>

#include "base/error.hh"
#include "base/io/event_loop.hh"
#include "clusterfs/driver/mounted_filesystem.hh"
#include "tools/mount_cfs/options.hh"
#include "tools/mount_cfs/witness.hh"

namespace mount_cfs {

// Keeps alive what the parts of a setup use besides (the fence gate).
class Surroundings {
  public:
    virtual ~Surroundings() = default;
};

struct Prepared {
    std::unique_ptr<Surroundings> surroundings;  // destroyed after the mount
    clusterfs::MountSetup setup;
};

// A file or block device that nobody else uses.
base::Result<Prepared> prepare_local(base::EventLoop& loop, const std::string& path, const Options& options);

// A replicated resource, locks from the other nodes. Refuses without quorum or fencing, with the one line that helps.
base::Result<Prepared> prepare_cluster(base::EventLoop& loop, const std::string& resource, const Options& options,
                                       Witness& witness);

}  // namespace mount_cfs
