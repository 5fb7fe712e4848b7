// The status of a resource in the shape of `drbdsetup status --json`.
#pragma once

#include <boost/json/fwd.hpp>

#include "blockrep/config/configuration.hh"
#include "blockrep/driver/resource_driver.hh"

namespace blockrep {

boost::json::object status_of(const ResourceDriver& resource, const config::ResourceConfig& config);

}  // namespace blockrep
