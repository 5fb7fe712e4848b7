// Finds the mount.cfs that serves a directory.
#pragma once

#include <string>

#include "base/io/file_descriptor.hh"

namespace umount_cfs {

// A pidfd of the process; invalid if there is none (any more).
base::FileDescriptor daemon_of(const std::string& mountpoint);

}  // namespace umount_cfs
