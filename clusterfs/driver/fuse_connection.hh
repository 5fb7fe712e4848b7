// A FUSE filesystem as the kernel has it, seen from outside of the daemon that serves it.
#pragma once

#include <optional>
#include <string>

#include "base/error.hh"

namespace clusterfs {

// The kernel's number of the filesystem mounted on `mountpoint`, a path without symbolic links. Nothing is asked of the
// daemon; nothing when no such path is there. Any filesystem has one: whose it is the caller knows.
std::optional<unsigned> fuse_connection_at(const std::string& mountpoint);

// Ends the connection with that number for good: whatever waits for an answer gets an error. A thread of the daemon
// that tells the kernel to forget pages sleeps until the reads of those pages are answered, and cannot be killed; when
// nobody is left who could answer, this alone ends it, and with it the process. Needs CAP_SYS_ADMIN.
base::Result<void> abort_fuse_connection(unsigned number);

}  // namespace clusterfs
