#include "fencing/driver/config.hh"

#include <algorithm>
#include <cstdlib>

namespace fencing {

std::optional<base::Duration> slowest_good_device(const Settings& settings) {
    if (settings.nodes.size() != 2) return std::nullopt;
    const auto gap = settings.nodes.begin()->second.delay - settings.nodes.rbegin()->second.delay;
    return base::Duration{std::abs(gap.nanoseconds) / 2};
}

bool is_secret_option(std::string_view name) {
    constexpr std::string_view secret[] = {"password", "passwd", "snmp_priv_passwd", "community", "token", "secret"};
    return std::ranges::find(secret, name) != std::end(secret);
}

std::string missing_devices(const Config& config, base::NodeId self, std::span<const base::ConfiguredNode> cluster) {
    for (const auto& node : cluster) {
        if (node.id == self) continue;
        const auto plan = config.settings.nodes.find(node.id);
        if (plan != config.settings.nodes.end() && !plan->second.levels.empty()) continue;
        const auto name = node.name.empty() ? std::to_string(node.id.value) : node.name;
        return "node " + name + " cannot be fenced: add to " + config.file + " a section [node." + name +
               "] with levels = [[\"bmc-" + name + "\"]] and a section [device.bmc-" + name +
               "] with its agent, then restart cfs-fenced";
    }
    return {};
}

}  // namespace fencing
