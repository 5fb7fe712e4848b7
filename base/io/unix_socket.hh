// Unix stream sockets by path.
#pragma once

#include <string>

#include "base/error.hh"
#include "base/io/file_descriptor.hh"

namespace base {

// Makes the directory (0755) if need be, replaces a socket nobody listens on, refuses one that is in use. Mode 0660.
Result<FileDescriptor> listen_unix(const std::string& path);
// Blocking connect; the descriptor is blocking.
Result<FileDescriptor> connect_unix(const std::string& path);

}  // namespace base
