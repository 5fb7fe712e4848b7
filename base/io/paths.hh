// Where this installation keeps its files. CFS_RUN_DIR and CFS_ETC_DIR replace /run and /etc (tests, several
// instances).
#pragma once

#include <string>
#include <string_view>

namespace base {

// run_path("cfs/fenced.sock") is /run/cfs/fenced.sock.
std::string run_path(std::string_view below);
std::string etc_path(std::string_view below);

}  // namespace base
