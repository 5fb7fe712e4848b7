// The `on HOST` sections: address, disk, metadata, at host level or inside one `volume`.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "blockrep/config/configuration.hh"

namespace blockrep::config {

// device, disk, meta-disk, flexible-meta-disk.
bool is_volume_keyword(std::string_view keyword);

// What stands at resource level and counts for every host that does not say otherwise.
class HostDefaults {
  public:
    base::Result<void> read(const Statement& statement);
    base::Result<void> read_volume(const Statement& volume, ResourceConfig& resource, std::vector<Warning>& warnings);

    // Fails when a second volume number comes up: one volume per resource is offered.
    base::Result<void> note_volume(const Statement& volume);
    std::optional<std::uint32_t> volume() const { return volume_; }
    const HostConfig& values() const { return values_; }

  private:
    HostConfig values_;
    std::optional<std::uint32_t> volume_;
};

base::Result<void> read_host(const Statement& on, HostDefaults& defaults, ResourceConfig& resource,
                             std::vector<Warning>& warnings);

// `host NAME address A:P;` or `host NAME port P;` inside `connection`.
base::Result<void> read_connection_host(const Statement& host, ResourceConfig& resource);

}  // namespace blockrep::config
