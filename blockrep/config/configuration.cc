#include "blockrep/config/configuration.hh"

#include <algorithm>

#include "blockrep/config/resource_builder.hh"

namespace blockrep::config {
namespace {

constexpr std::string_view global_options =
    "minor-count dialog-refresh disable-ip-verification disable-io-hints usage-count cmd-timeout-short "
    "cmd-timeout-medium cmd-timeout-long udev-always-use-vnr";

base::Result<void> check_global(const Statement& global) {
    if (!global.body) return config_failure(ConfigErrc::syntax, global.at, "write global { ... }");
    for (const auto& option : *global.body) {
        if ((" " + std::string(global_options) + " ").find(" " + option.keyword + " ") == std::string::npos) {
            return config_failure(
                ConfigErrc::unknown, option.at,
                "`" + option.keyword +
                    "` is not known in section `global`; known (without effect): " + std::string(global_options));
        }
    }
    return {};
}

void remember_warnings(std::vector<Warning>& all, const std::vector<Warning>& more) {
    for (const auto& warning : more) {
        const bool seen =
            std::ranges::any_of(all, [&](const Warning& other) { return other.text() == warning.text(); });
        if (!seen) all.push_back(warning);
    }
}

// Addresses and minors must be unique over all resources.
base::Result<void> check_unique(const ResourceConfig& resource, const std::vector<ResourceConfig>& others) {
    for (const auto& other : others) {
        if (other.name == resource.name) {
            return config_failure(ConfigErrc::conflict, resource.at,
                                  "resource `" + resource.name + "` stands already at " + other.at.text());
        }
        for (const auto& mine : resource.hosts) {
            for (const auto& theirs : other.hosts) {
                if (mine.address == theirs.address) {
                    return config_failure(ConfigErrc::conflict, mine.at,
                                          "address " + mine.address.text() + " is used already at " + theirs.at.text());
                }
                if (mine.name == theirs.name && mine.minor && mine.minor == theirs.minor) {
                    return config_failure(ConfigErrc::conflict, mine.at,
                                          "minor " + std::to_string(*mine.minor) + " on " + mine.name +
                                              " is used already at " + theirs.at.text());
                }
            }
        }
    }
    return {};
}

}  // namespace

std::string Address::text() const {
    const bool bracketed = host.find(':') != std::string::npos;
    return (bracketed ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

const HostConfig* ResourceConfig::host(std::string_view host_name) const {
    const auto found = std::ranges::find(hosts, host_name, &HostConfig::name);
    return found == hosts.end() ? nullptr : &*found;
}

const HostConfig& ResourceConfig::peer_of(const HostConfig& own) const {
    return hosts.front().name == own.name ? hosts.back() : hosts.front();
}

const ResourceConfig* Configuration::resource(std::string_view name) const {
    const auto found = std::ranges::find(resources, name, &ResourceConfig::name);
    return found == resources.end() ? nullptr : &*found;
}

base::Result<Configuration> parse_configuration(const SourceFile& file, const FileFinder& find_files) {
    BASE_ASSIGN(const std::vector<Statement> statements, parse_statements(file, find_files));
    std::vector<const Statement*> commons;
    for (const auto& statement : statements) {
        if (statement.keyword == "global") {
            BASE_TRY(check_global(statement));
        } else if (statement.keyword == "common") {
            if (!statement.body) return config_failure(ConfigErrc::syntax, statement.at, "write common { ... }");
            commons.push_back(&statement);
        } else if (statement.keyword != "resource") {
            return config_failure(
                ConfigErrc::unknown, statement.at,
                "`" + statement.keyword +
                    "` is not known at the top of a file; known: global common resource include skip");
        }
    }
    Configuration configuration;
    for (const auto& statement : statements) {
        if (statement.keyword != "resource") continue;
        std::vector<Warning> warnings;
        BASE_ASSIGN(ResourceConfig resource, build_resource(statement, commons, warnings));
        BASE_TRY(check_unique(resource, configuration.resources));
        remember_warnings(configuration.warnings, warnings);
        configuration.resources.push_back(std::move(resource));
    }
    return configuration;
}

}  // namespace blockrep::config
