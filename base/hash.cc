#include "base/hash.hh"

#include <xxhash.h>

namespace base {

std::uint64_t checksum(ByteView bytes, std::uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace base
