// The clocks of this machine, for drivers.
#pragma once

#include "base/time.hh"

namespace base {

Instant monotonic_now();  // CLOCK_MONOTONIC
WallTime wall_now();      // CLOCK_REALTIME

}  // namespace base
