// What a drbd.conf says, as far as this program heeds it: plain values, inheritance done, everything range-checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hh"
#include "base/time.hh"
#include "blockrep/config/syntax.hh"

namespace blockrep::config {

// May acknowledge alone after losing a Primary peer: at once (dont_care), or once the fence gate says it is dead.
// resource_only is read as resource_and_stonith: there is no safe half.
enum class FencingPolicy { dont_care, resource_and_stonith };

// What a failed local disk means: go on with the peer's disk, or tell the client.
enum class OnIoError { detach, pass_on };

struct NetOptions {
    bool allow_two_primaries = false;
    std::string shared_secret;  // 1 to 64 bytes, never empty after parsing
    FencingPolicy fencing = FencingPolicy::resource_and_stonith;
    base::Duration timeout = base::Duration::seconds(6);
    base::Duration ping_interval = base::Duration::seconds(10);
    base::Duration ping_timeout = base::Duration::milliseconds(500);
    base::Duration connect_interval = base::Duration::seconds(10);
};

struct DiskOptions {
    std::uint32_t al_extents = 1237;
    OnIoError on_io_error = OnIoError::detach;
};

struct Address {
    std::string host;  // without the brackets of IPv6
    std::uint16_t port = 0;
    auto operator<=>(const Address&) const = default;
    std::string text() const;
};

struct MetaDisk {
    std::string path;         // empty: internal, at the end of the data disk
    std::uint32_t index = 0;  // slot on an external device
    bool internal() const { return path.empty(); }
};

struct HostConfig {
    std::string name;  // as `uname -n` says
    std::optional<std::uint32_t> node_id;
    Address address;
    std::string device;  // as written; no kernel device is made
    std::optional<std::uint32_t> minor;
    std::string disk;
    MetaDisk meta_disk;
    Position at;
};

struct ResourceConfig {
    std::string name;
    Position at;
    std::uint32_t volume = 0;
    NetOptions net;
    DiskOptions disk;
    std::vector<HostConfig> hosts;  // exactly two, different names and addresses

    // Null when `name` is not one of the hosts.
    const HostConfig* host(std::string_view host_name) const;
    // The other one of the two.
    const HostConfig& peer_of(const HostConfig& own) const;
};

struct Warning {
    Position at;
    std::string what;
    std::string text() const { return at.text() + ": " + what; }
};

struct Configuration {
    std::vector<ResourceConfig> resources;  // in the order of the file, names unique
    std::vector<Warning> warnings;          // what was accepted and not heeded

    const ResourceConfig* resource(std::string_view name) const;
};

// The first problem, as "file:line: what, and what instead".
base::Result<Configuration> parse_configuration(const SourceFile& file, const FileFinder& find_files);

}  // namespace blockrep::config
