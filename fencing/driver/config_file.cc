// The one file that sees toml++.
#define TOML_EXCEPTIONS 0
#include <sys/stat.h>

#include <toml++/toml.h>
#include <limits>
#include <set>

#include "base/io/paths.hh"
#include "fencing/driver/config.hh"
#include "fencing/format/error.hh"

namespace fencing {
namespace {

using Where = toml::source_region;

// More than twice what a BMC needs on a machine that has much to do (measured: 1.3 s with a load of eight per CPU).
constexpr auto default_delay = base::Duration::seconds(4);

struct NodeSection {
    FencePlan plan;
    base::NodeId id;
    bool has_delay = false;
    int line = 0;
    int levels_line = 0;
};

class Reader {
  public:
    Reader(std::string path, std::span<const base::ConfiguredNode> cluster) : cluster_(cluster) {
        config_.file = std::move(path);
    }

    base::Result<Config> read() {
        const auto parsed = toml::parse_file(config_.file);
        if (!parsed) {
            return base::failure(Errc::bad_config,
                                 place(parsed.error().source()) + std::string(parsed.error().description()));
        }
        for (const auto& [key, value] : parsed.table()) BASE_TRY(read_top(key.str(), value));
        BASE_TRY(check_levels());
        BASE_TRY(check_delays());
        BASE_TRY(check_secrets());
        for (auto& section : nodes_) config_.settings.nodes[section.id] = std::move(section.plan);
        return std::move(config_);
    }

  private:
    std::string place(const Where& where) const { return place(static_cast<int>(where.begin.line)); }
    std::string place(int line) const { return config_.file + ":" + std::to_string(line) + ": "; }
    std::unexpected<base::Error> wrong(const Where& where, const std::string& what) const {
        return base::failure(Errc::bad_config, place(where) + what);
    }
    std::unexpected<base::Error> wrong(int line, const std::string& what) const {
        return base::failure(Errc::bad_config, place(line) + what);
    }

    base::Result<void> read_top(std::string_view key, const toml::node& value) {
        const auto* table = value.as_table();
        if (table == nullptr) return wrong(value.source(), "unknown key " + std::string(key));
        if (key == "fencing") return read_general(*table);
        if (key != "node" && key != "device") {
            return wrong(value.source(), "unknown section [" + std::string(key) +
                                             "]: there are [fencing], [node.NAME] and [device.NAME]");
        }
        for (const auto& [name, section] : *table) {
            const auto* each = section.as_table();
            if (each == nullptr) {
                return wrong(section.source(), "write it as a section: [" + std::string(key) + ".NAME]");
            }
            BASE_TRY(key == "node" ? read_node(name.str(), *each) : read_device(name.str(), *each));
        }
        return {};
    }

    base::Result<void> read_general(const toml::table& table) {
        for (const auto& [key, value] : table) {
            if (key == "own_death") {
                BASE_ASSIGN(const auto text, as_text(key.str(), value));
                if (text != "tell" && text != "reboot") return wrong(value.source(), "own_death is tell or reboot");
                config_.own_death = text == "tell" ? OwnDeath::tell : OwnDeath::reboot;
            } else if (key == "monitor_interval") {
                BASE_ASSIGN(config_.monitor_interval, as_seconds(key.str(), value, 0, 86400));
            } else if (key == "verify_timeout") {
                BASE_ASSIGN(config_.settings.verify_limit, as_seconds(key.str(), value, 1, 600));
            } else {
                return unknown("fencing", key.str(), value, "own_death, monitor_interval, verify_timeout");
            }
        }
        return {};
    }

    base::Result<void> read_node(std::string_view name, const toml::table& table) {
        NodeSection section;
        section.plan.name = name;
        section.line = section.levels_line = static_cast<int>(table.source().begin.line);
        for (const auto& [key, value] : table) {
            if (key == "nodeid") {
                BASE_TRY(read_node_id(value, section));
            } else if (key == "delay") {
                BASE_ASSIGN(section.plan.delay, as_seconds(key.str(), value, 0, 300));
                section.has_delay = true;
            } else if (key == "levels") {
                section.levels_line = static_cast<int>(value.source().begin.line);
                BASE_TRY(read_levels(value, section.plan.levels));
            } else {
                return unknown("node." + section.plan.name, key.str(), value, "nodeid, delay, levels");
            }
        }
        BASE_TRY(check_node_id(section));
        nodes_.push_back(std::move(section));
        return {};
    }

    base::Result<void> read_node_id(const toml::node& value, NodeSection& section) const {
        const auto number = value.value_exact<std::int64_t>();
        if (!number || *number < 1 || *number > std::numeric_limits<std::uint32_t>::max()) {
            return wrong(value.source(), "nodeid is a number from 1 on, as in corosync.conf");
        }
        section.id.value = static_cast<std::uint32_t>(*number);
        return {};
    }

    base::Result<void> check_node_id(NodeSection& section) const {
        const auto& name = section.plan.name;
        for (const auto& node : cluster_) {
            if (node.name != name) continue;
            if (section.id.value == 0) section.id = node.id;
            if (section.id != node.id) {
                return wrong(section.line, "node " + name + " has nodeid " + std::to_string(node.id.value) +
                                               " in corosync.conf, not " + std::to_string(section.id.value));
            }
        }
        if (section.id.value == 0) {
            return wrong(section.line, "corosync.conf names no node " + name + ": add `nodeid = N` here");
        }
        for (const auto& other : nodes_) {
            if (other.id == section.id) {
                return wrong(section.line, name + " and " + other.plan.name + " have the same nodeid " +
                                               std::to_string(section.id.value));
            }
        }
        return {};
    }

    base::Result<void> read_levels(const toml::node& value, std::vector<std::vector<std::string>>& levels) const {
        const auto* list = value.as_array();
        if (list == nullptr) return wrong(value.source(), R"(levels is a list of lists, like [["bmc-a"], ["pdu-a"]])");
        for (const auto& level : *list) {
            const auto* names = level.as_array();
            if (names == nullptr || names->empty()) {
                return wrong(level.source(), R"(a level is a list of devices, like ["bmc-a"])");
            }
            levels.emplace_back();
            for (const auto& name : *names) {
                BASE_ASSIGN(auto text, as_text("a device's name", name));
                levels.back().push_back(std::move(text));
            }
        }
        return {};
    }

    base::Result<void> read_device(std::string_view name, const toml::table& table) {
        Device device;
        device.name = name;
        for (const auto& [key, value] : table) {
            if (key == "agent") {
                BASE_ASSIGN(device.agent, as_text(key.str(), value));
            } else if (key == "timeout") {
                BASE_ASSIGN(device.timeout, as_seconds(key.str(), value, 1, 600));
            } else if (key == "heuristic") {
                if (!value.is_boolean()) return wrong(value.source(), "heuristic is true or false");
                device.heuristic = *value.value_exact<bool>();
            } else if (key == "options") {
                BASE_TRY(read_options(value, device));
            } else {
                return unknown("device." + device.name, key.str(), value, "agent, timeout, heuristic, options");
            }
        }
        if (device.agent.empty()) {
            return wrong(table.source(), "device " + device.name + " names no agent, like agent = \"fence_cfs_ipmi\"");
        }
        if (device.heuristic) config_.settings.heuristics.push_back(device.name);
        config_.devices.emplace(device.name, std::move(device));
        return {};
    }

    base::Result<void> read_options(const toml::node& value, Device& device) {
        const auto* table = value.as_table();
        if (table == nullptr)
            return wrong(value.source(), "options is a section: [device." + device.name + ".options]");
        for (const auto& [key, option] : *table) {
            BASE_ASSIGN(auto text, as_option(key.str(), option));
            if (key == "action") return wrong(option.source(), "the daemon chooses the action: remove this line");
            if (key == "method" && text == "cycle") {
                config_.warnings.push_back(
                    place(option.source()) +
                    "method cycle may say OK before the power is gone: write method = \"onoff\"");
            }
            if (is_secret_option(key.str()) && secret_line_ == 0) {
                secret_line_ = static_cast<int>(option.source().begin.line);
            }
            device.options.emplace(key.str(), std::move(text));
        }
        return {};
    }

    base::Result<void> check_levels() const {
        for (const auto& section : nodes_) {
            std::set<std::string> seen;
            for (const auto& level : section.plan.levels) {
                bool proves = false;
                for (const auto& name : level) {
                    const auto device = config_.devices.find(name);
                    if (device == config_.devices.end()) {
                        return wrong(section.levels_line, "no section [device." + name + "]");
                    }
                    proves = proves || !device->second.heuristic;
                }
                if (!proves) return wrong(section.levels_line, "a level of heuristics only never fences anybody");
            }
        }
        return {};
    }

    // The lowest node survives a tie unless the file says otherwise.
    base::Result<void> check_delays() {
        NodeSection* lowest = nullptr;
        bool any = false;
        for (auto& section : nodes_) {
            any = any || section.has_delay;
            if (lowest == nullptr || section.id < lowest->id) lowest = &section;
        }
        if (lowest != nullptr && !any) lowest->plan.delay = default_delay;
        if (nodes_.size() == 2 && nodes_[0].plan.delay == nodes_[1].plan.delay) {
            return wrong(nodes_[1].line, nodes_[0].plan.name + " and " + nodes_[1].plan.name +
                                             " have the same delay: they would shoot each other. Write delay = " +
                                             std::to_string(default_delay.to_milliseconds() / 1000) +
                                             " in the section of the one that should survive, none in the other");
        }
        return {};
    }

    base::Result<void> check_secrets() const {
        struct stat status {};
        if (secret_line_ == 0 || ::stat(config_.file.c_str(), &status) != 0 || (status.st_mode & 077) == 0) return {};
        return wrong(secret_line_, "a password in a file that others may read: chmod 600 " + config_.file);
    }

    std::unexpected<base::Error> unknown(const std::string& section, std::string_view key, const toml::node& value,
                                         const std::string& known) const {
        return wrong(value.source(), "unknown key " + std::string(key) + " in [" + section + "]: there are " + known);
    }

    base::Result<std::string> as_text(std::string_view key, const toml::node& value) const {
        const auto text = value.value_exact<std::string>();
        if (!text || text->empty()) return wrong(value.source(), std::string(key) + " is a text in quotes");
        return *text;
    }

    base::Result<base::Duration> as_seconds(std::string_view key, const toml::node& value, double least,
                                            double most) const {
        const auto number = value.is_number() ? value.value<double>() : std::nullopt;
        if (!number || !(*number >= least) || !(*number <= most)) {
            return wrong(value.source(), std::string(key) + " is a number of seconds from " +
                                             std::to_string(static_cast<int>(least)) + " to " +
                                             std::to_string(static_cast<int>(most)));
        }
        return base::Duration{static_cast<std::int64_t>(*number * 1e9)};
    }

    // What an agent reads as one line `key=value`.
    base::Result<std::string> as_option(std::string_view key, const toml::node& value) const {
        std::string text;
        if (const auto flag = value.value_exact<bool>()) {
            text = *flag ? "1" : "0";
        } else if (const auto number = value.value_exact<std::int64_t>()) {
            text = std::to_string(*number);
        } else if (const auto written = value.value_exact<std::string>()) {
            text = *written;
        } else {
            return wrong(value.source(), std::string(key) + " is a text, a whole number, true or false");
        }
        if (text.find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos ||
            key.find_first_of("=\n\r") != std::string_view::npos) {
            return wrong(value.source(), "option " + std::string(key) + " does not fit into one line");
        }
        return text;
    }

    std::span<const base::ConfiguredNode> cluster_;
    Config config_;
    std::vector<NodeSection> nodes_;
    int secret_line_ = 0;
};

}  // namespace

std::string config_path() { return base::etc_path("cfs/fencing.toml"); }

base::Result<Config> read_config(const std::string& path, std::span<const base::ConfiguredNode> cluster) {
    if (struct stat status{}; ::stat(path.c_str(), &status) != 0) return base::errno_failure(errno, path);
    return Reader(path, cluster).read();
}

}  // namespace fencing
