// Opens what the filesystem tools are given: a plain file, a block device, or the name of a replicated resource.
#pragma once

#include <memory>
#include <string>

#include "clusterfs/core/whole_device.hh"

namespace fskit {

class OpenedDevice {
  public:
    virtual ~OpenedDevice() = default;
    virtual clusterfs::SynchronousDevice& blocks() = 0;
    // A replicated resource: other nodes may have it mounted although nobody on this one has.
    virtual bool is_shared() const = 0;
};

// A name without '/' that is no file here is a resource. A file or device that is mounted here, or checked by another
// process, is refused as busy.
base::Result<std::unique_ptr<OpenedDevice>> open_device(const std::string& name, bool read_only);

}  // namespace fskit
