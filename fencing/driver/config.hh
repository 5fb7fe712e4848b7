// /etc/cfs/fencing.toml: who can be fenced, by which devices, in which order.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hh"
#include "base/io/quorum.hh"
#include "base/node.hh"
#include "base/time.hh"
#include "fencing/core/settings.hh"

namespace fencing {

struct Device {
    std::string name;
    std::string agent;  // a program's name or path
    base::Duration timeout = base::Duration::seconds(20);
    bool heuristic = false;
    std::map<std::string, std::string> options;  // given to the agent on its standard input
};

// What the daemon does when the group holds its own living machine for dead.
enum class OwnDeath {
    tell,    // tells the local programs, which stop
    reboot,  // and restarts the machine at once
};

struct Config {
    std::string file;
    Settings settings;  // without `self`
    std::map<std::string, Device> devices;
    OwnDeath own_death = OwnDeath::tell;
    base::Duration monitor_interval = base::Duration::seconds(60);  // of each device; 0: never
    std::vector<std::string> warnings;
};

std::string config_path();  // <etc>/cfs/fencing.toml

// An Error names file, line and what to write instead. `cluster` gives node ids to sections that name none, and is
// compared with those that do; it may be empty (checking a file without Corosync).
base::Result<Config> read_config(const std::string& path, std::span<const base::ConfiguredNode> cluster);

// How long a device may take at most so that the halves of a split pair cannot both be shot; nothing when that cannot
// happen (other than two nodes).
std::optional<base::Duration> slowest_good_device(const Settings& settings);

// True for options whose value must never be printed: passwords.
bool is_secret_option(std::string_view name);

// Why not every other node can be fenced, in one line that says what to write; empty when all can.
std::string missing_devices(const Config& config, base::NodeId self, std::span<const base::ConfiguredNode> cluster);

}  // namespace fencing
