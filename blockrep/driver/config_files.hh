// drbd.conf from the disk: the file, what it includes, and who we are in it.
#pragma once

#include <string>

#include "blockrep/config/configuration.hh"

namespace blockrep {

std::string standard_config_path();  // <etc>/blockrep.conf

// Reads and checks everything.
base::Result<config::Configuration> load_configuration(const std::string& path);

// The name of this machine as `on NAME { … }` has it: $CFS_NODE_NAME if set (tests), else `uname -n`.
std::string own_host_name();

// Our side of a resource; the Error names the hosts that the file has.
base::Result<const config::HostConfig*> own_host(const config::ResourceConfig& resource);

}  // namespace blockrep
