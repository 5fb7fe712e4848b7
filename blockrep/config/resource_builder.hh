// One `resource` section, with what it inherits from `common`, as a ResourceConfig.
#pragma once

#include <vector>

#include "blockrep/config/configuration.hh"

namespace blockrep::config {

base::Result<ResourceConfig> build_resource(const Statement& statement, const std::vector<const Statement*>& commons,
                                            std::vector<Warning>& warnings);

}  // namespace blockrep::config
