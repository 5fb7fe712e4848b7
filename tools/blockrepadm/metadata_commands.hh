// What is done to the metadata of a replica that is not attached.
#pragma once

#include "base/error.hh"
#include "blockrep/config/configuration.hh"

// Refuses metadata or other data in its place unless `force`.
base::Result<void> create_metadata(const blockrep::config::ResourceConfig& resource, bool force);
// Prints it.
base::Result<void> dump_metadata(const blockrep::config::ResourceConfig& resource);
