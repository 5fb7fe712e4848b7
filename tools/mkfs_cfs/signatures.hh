// What may be on a device already, so that mkfs does not destroy it unasked.
#pragma once

#include <optional>
#include <string>

#include "clusterfs/core/whole_device.hh"

namespace mkfs_cfs {

// What the device seems to hold ("an ext4 filesystem"), or nothing.
base::Result<std::optional<std::string>> existing_content(clusterfs::SynchronousDevice& device);

// Nodes that have the CFS filesystem on it mounted, or died while they had ("node 1, node 2"); empty: none.
std::string mounted_nodes(clusterfs::SynchronousDevice& device);

}  // namespace mkfs_cfs
