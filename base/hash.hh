// The project's one checksum: XXH3 with 64 bits. Not cryptographic; for authentication see base/io.
#pragma once

#include <cstdint>

#include "base/bytes.hh"

namespace base {

std::uint64_t checksum(ByteView bytes, std::uint64_t seed = 0);

}  // namespace base
