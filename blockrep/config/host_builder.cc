#include "blockrep/config/host_builder.hh"

#include <algorithm>
#include <span>

#include "blockrep/config/options.hh"

namespace blockrep::config {
namespace {

bool is_address_family(const std::string& word) {
    return word == "ipv4" || word == "ipv6" || word == "sdp" || word == "ssocks" || word == "sci";
}

// tokens: [family] host : port      or      [family] [ v6 : address ] : port
base::Result<Address> parse_address(const Statement& statement, std::span<const Token> tokens) {
    if (tokens.size() > 1 && is_address_family(tokens.front().text)) tokens = tokens.subspan(1);
    std::string text;
    for (const auto& token : tokens) text += token.text;
    const auto colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) {
        return config_failure(ConfigErrc::bad_value, statement.at,
                              "an address is written 192.0.2.1:7789 or ipv6 [2001:db8::1]:7789, not `" + text + "`");
    }
    Address address;
    address.host = text.substr(0, colon);
    if (address.host.front() == '[' && address.host.back() == ']') {
        address.host = address.host.substr(1, address.host.size() - 2);
    } else if (address.host.find_first_of("[]:") != std::string::npos) {
        return config_failure(ConfigErrc::bad_value, statement.at, "`" + text + "` is no address");
    }
    BASE_ASSIGN(const auto port, parse_number(statement, text.substr(colon + 1), 1, 65535));
    address.port = static_cast<std::uint16_t>(port);
    return address;
}

base::Result<void> read_device(const Statement& statement, HostConfig& host) {
    BASE_TRY(expect_values(statement, 1, 3));
    const auto& values = statement.values;
    std::size_t next = 0;
    if (values[0].text != "minor") host.device = values[next++].text;
    if (next == values.size()) return {};
    if (values[next].text != "minor" || next + 2 != values.size()) {
        return config_failure(ConfigErrc::syntax, statement.at, "write device /dev/NAME minor N;");
    }
    BASE_ASSIGN(const auto minor, parse_number(statement, values[next + 1].text, 0, (1U << 20) - 1));
    host.minor = static_cast<std::uint32_t>(minor);
    return {};
}

base::Result<void> read_disk(const Statement& statement, HostConfig& host) {
    BASE_TRY(expect_values(statement, 1, 1));
    if (statement.values.front().text == "none") {
        return config_failure(ConfigErrc::unsupported, statement.at,
                              "`disk none` is not offered: each of the two hosts has a disk");
    }
    host.disk = statement.values.front().text;
    return {};
}

base::Result<void> read_meta_disk(const Statement& statement, HostConfig& host) {
    const auto& values = statement.values;
    if (values.size() == 1) {
        host.meta_disk.path = values[0].text == "internal" ? std::string() : values[0].text;
        host.meta_disk.index = 0;
        return {};
    }
    if (values.size() != 4 || !values[1].is('[') || !values[3].is(']')) {
        return config_failure(ConfigErrc::syntax, statement.at,
                              "write meta-disk internal; or meta-disk /dev/NAME; or meta-disk /dev/NAME[0];");
    }
    BASE_ASSIGN(const auto index, parse_number(statement, values[2].text, 0, 4095));
    host.meta_disk = {values[0].text, static_cast<std::uint32_t>(index)};
    return {};
}

base::Result<void> read_volume_statement(const Statement& statement, HostConfig& host) {
    if (statement.body) {
        return config_failure(ConfigErrc::syntax, statement.at, "`" + statement.keyword + "` takes a value here");
    }
    if (statement.keyword == "device") return read_device(statement, host);
    if (statement.keyword == "disk") return read_disk(statement, host);
    return read_meta_disk(statement, host);
}

// The inside of `volume N { ... }`.
base::Result<void> read_volume_body(const Statement& volume, HostConfig& host, ResourceConfig& resource,
                                    std::vector<Warning>& warnings) {
    for (const auto& part : *volume.body) {
        if (part.body && part.keyword == "disk") {
            for (const auto& option : *part.body) BASE_TRY(apply_option("disk", option, resource, warnings));
        } else if (is_volume_keyword(part.keyword)) {
            BASE_TRY(read_volume_statement(part, host));
        } else {
            return config_failure(
                ConfigErrc::unknown, part.at,
                "`" + part.keyword + "` is not known in section `volume`; known: device disk meta-disk");
        }
    }
    return {};
}

base::Result<void> read_host_statement(const Statement& part, HostConfig& host, HostDefaults& defaults,
                                       ResourceConfig& resource, std::vector<Warning>& warnings) {
    if (part.body && part.keyword == "volume") {
        BASE_TRY(defaults.note_volume(part));
        return read_volume_body(part, host, resource, warnings);
    }
    if (part.body && is_option_section(part.keyword)) {
        for (const auto& option : *part.body) BASE_TRY(apply_option(part.keyword, option, resource, warnings));
        return {};
    }
    if (is_volume_keyword(part.keyword)) return read_volume_statement(part, host);
    if (part.keyword == "address") {
        BASE_ASSIGN(host.address, parse_address(part, part.values));
        return {};
    }
    if (part.keyword == "node-id") {
        BASE_TRY(expect_values(part, 1, 1));
        BASE_ASSIGN(const auto id, parse_number(part, part.values.front().text, 0, 0xffffffff));
        host.node_id = static_cast<std::uint32_t>(id);
        return {};
    }
    return config_failure(
        ConfigErrc::unknown, part.at,
        "`" + part.keyword + "` is not known in section `on`; known: address device disk meta-disk node-id volume");
}

base::Result<void> add_host(const Token& name, const Statement& on, HostDefaults& defaults, ResourceConfig& resource,
                            std::vector<Warning>& warnings) {
    if (resource.host(name.text) != nullptr) {
        return config_failure(ConfigErrc::conflict, on.at, "host `" + name.text + "` stands twice in this resource");
    }
    HostConfig host = defaults.values();
    host.name = name.text;
    host.at = on.at;
    for (const auto& part : *on.body) BASE_TRY(read_host_statement(part, host, defaults, resource, warnings));
    resource.hosts.push_back(std::move(host));
    return {};
}

}  // namespace

bool is_volume_keyword(std::string_view keyword) {
    return keyword == "device" || keyword == "disk" || keyword == "meta-disk" || keyword == "flexible-meta-disk";
}

base::Result<void> HostDefaults::read(const Statement& statement) { return read_volume_statement(statement, values_); }

base::Result<void> HostDefaults::read_volume(const Statement& volume, ResourceConfig& resource,
                                             std::vector<Warning>& warnings) {
    BASE_TRY(note_volume(volume));
    return read_volume_body(volume, values_, resource, warnings);
}

base::Result<void> HostDefaults::note_volume(const Statement& volume) {
    if (!volume.body) return config_failure(ConfigErrc::syntax, volume.at, "write volume N { ... }");
    BASE_TRY(expect_values(volume, 1, 1));
    BASE_ASSIGN(const auto number, parse_number(volume, volume.values.front().text, 0, 65534));
    if (volume_ && *volume_ != number) {
        return config_failure(ConfigErrc::unsupported, volume.at,
                              "a second volume is not offered: make it a resource of its own");
    }
    volume_ = static_cast<std::uint32_t>(number);
    return {};
}

base::Result<void> read_host(const Statement& on, HostDefaults& defaults, ResourceConfig& resource,
                             std::vector<Warning>& warnings) {
    if (!on.body || on.values.empty()) return config_failure(ConfigErrc::syntax, on.at, "write on HOST { ... }");
    for (const auto& name : on.values) BASE_TRY(add_host(name, on, defaults, resource, warnings));
    return {};
}

base::Result<void> read_connection_host(const Statement& host, ResourceConfig& resource) {
    const std::span<const Token> values = host.values;
    if (values.empty()) return config_failure(ConfigErrc::syntax, host.at, "write host NAME address 192.0.2.1:7789;");
    const auto found = std::ranges::find(resource.hosts, values.front().text, &HostConfig::name);
    if (found == resource.hosts.end()) {
        return config_failure(ConfigErrc::missing, host.at, "there is no section `on " + values.front().text + "`");
    }
    if (values.size() == 1) return {};
    if (values.size() > 2 && values[1].text == "address") {
        BASE_ASSIGN(found->address, parse_address(host, values.subspan(2)));
        return {};
    }
    if (values.size() == 3 && values[1].text == "port") {
        BASE_ASSIGN(const auto port, parse_number(host, values[2].text, 1, 65535));
        found->address.port = static_cast<std::uint16_t>(port);
        return {};
    }
    return config_failure(ConfigErrc::syntax, host.at, "write host NAME address 192.0.2.1:7789;");
}

}  // namespace blockrep::config
