// What cfs-fenced answers, for people.
#pragma once

#include <boost/json.hpp>

namespace cfs_fence {

void print_status(const boost::json::object& status);
void print_history(const boost::json::array& history);

}  // namespace cfs_fence
