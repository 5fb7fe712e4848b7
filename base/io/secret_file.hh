// A shared secret from a file that only its owner can read.
#pragma once

#include <string>

#include "base/error.hh"

namespace base {

// The first line of the file without its newline, 1 to 256 bytes. Refused when group or others may read it.
Result<std::string> read_secret(const std::string& path);

}  // namespace base
