// Makes umount(8) call umount.cfs, which waits until everything is written down.
#pragma once

#include <string>

#include "base/error.hh"

namespace mount_cfs {

// Notes in libmount's table of user-space mount options (/run/mount/utab) that `mountpoint` has a helper. umount(8)
// removes the note. Without it umount works too, and returns early.
base::Result<void> note_unmount_helper(const std::string& source, const std::string& mountpoint);

}  // namespace mount_cfs
