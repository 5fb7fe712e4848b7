// Lives in the JSON of cfs-fenced's socket: {"node":2,"incarnation":"…"}; an empty incarnation is nil: any life.
#pragma once

#include <boost/json.hpp>
#include <optional>

#include "base/node.hh"

namespace fencing {

std::optional<base::NodeId> node_member(const boost::json::object& object);
// Nothing when a member is missing or not well formed.
std::optional<base::NodeIncarnation> life_members(const boost::json::object& object);
void add_life(boost::json::object& object, const base::NodeIncarnation& life);

}  // namespace fencing
