// The filesystem that simulations begin with.
#pragma once

#include "tests/sim/clusterfs/device.hh"
#include "tests/sim/common/random.hh"

namespace sim {

inline constexpr std::uint64_t filesystem_blocks = 31744;  // of the device

// mkfs, with two slots and small journals, of random size, so that they wrap.
void make_filesystem(Device& device, Random& random);

}  // namespace sim
