// What people and scripts are shown: the history with names and times of day.
#pragma once

#include <map>
#include <string>

#include "base/json_writer.hh"
#include "fencing/core/history.hh"
#include "fencing/core/settings.hh"

namespace fencing {

// 2026-11-21T07:54:31.949Z
std::string time_text(base::WallTime time);
void describe_history(const History& history, const Settings& settings, base::JsonWriter& out);

}  // namespace fencing
