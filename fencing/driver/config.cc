#include "fencing/driver/config.hh"

#include <algorithm>
#include <cstdlib>

namespace fencing {

std::optional<base::Duration> slowest_good_device(const Settings& settings) {
    if (settings.nodes.size() != 2) return std::nullopt;
    const auto gap = settings.nodes.begin()->second.delay - settings.nodes.rbegin()->second.delay;
    return base::Duration{std::abs(gap.nanoseconds) / 2};
}

// Agents have many names for them: passwd, snmp-priv-passwd, secret_key, apikey, token. A file's name is no secret.
bool is_secret_option(std::string_view name) {
    if (name.find("file") != std::string_view::npos) return false;
    constexpr std::string_view secret[] = {"passw", "secret", "token", "key", "community"};
    return std::ranges::any_of(secret, [name](auto word) { return name.find(word) != std::string_view::npos; });
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
