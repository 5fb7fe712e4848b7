// Randomness from the kernel, for drivers; cores are given what they need.
#pragma once

#include "base/bytes.hh"
#include "base/uuid.hh"

namespace base {

void fill_random(MutableByteView into);
Uuid random_uuid();  // version 4

}  // namespace base
