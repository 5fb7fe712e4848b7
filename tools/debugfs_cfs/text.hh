// JSON as people read it: one line per value, nested things indented, arrays of flat objects as lines.
#pragma once

#include <string>

namespace debugfs_cfs {

std::string readable(const std::string& json);

}  // namespace debugfs_cfs
