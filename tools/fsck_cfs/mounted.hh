// Whether some node may have the filesystem mounted while we look at it.
#pragma once

#include <string>

#include "tools/fskit/open_device.hh"

namespace fsck_cfs {

// Who may have it mounted ("node 2"), or nothing. Slots of nodes that are known to be dead, and those of this machine
// when no mount daemon of the device runs here, do not count.
std::string who_has_it_mounted(fskit::OpenedDevice& device, const std::string& name);

}  // namespace fsck_cfs
