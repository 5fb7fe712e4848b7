// Unix stream sockets by path.
#pragma once

#include <string>

#include "base/error.hh"
#include "base/io/file_descriptor.hh"
#include "base/time.hh"

namespace base {

// Makes the directory (0755) if need be, replaces a socket nobody listens on, refuses one that is in use. Mode 0660.
Result<FileDescriptor> listen_unix(const std::string& path);
// Blocking connect, for at most `limit` where nobody accepts (resource_unavailable_try_again then); the descriptor is
// blocking, without a limit.
Result<FileDescriptor> connect_unix(const std::string& path, Duration limit = Duration::seconds(10));

// How long each send and receive on a blocking socket may wait (EAGAIN then); zero: for ever.
void limit_waiting(const FileDescriptor& socket, Duration limit);

}  // namespace base
