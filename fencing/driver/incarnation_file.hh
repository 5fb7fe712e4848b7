// The name of this machine's present life, made once per boot in a file that does not survive a power cycle.
#pragma once

#include <string>

#include "base/error.hh"
#include "base/uuid.hh"

namespace fencing {

std::string incarnation_path();  // <run>/cfs/incarnation

// Reads it, or makes it when there is none. A damaged file is an Error: guessing a life could let a dead one go on.
base::Result<base::Uuid> this_life(const std::string& path = incarnation_path());

}  // namespace fencing
