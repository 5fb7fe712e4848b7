// A daemon that the kernel writes dirty pages back through must never wait for memory that only such a write would free:
// it would wait for itself.
#pragma once

#include <string>
#include <vector>

namespace base {

// Locks memory, marks the process as an I/O flusher, and protects it from the OOM killer. Each is tried; what the
// system refuses comes back as lines for the log.
std::vector<std::string> protect_io_path();

}  // namespace base
