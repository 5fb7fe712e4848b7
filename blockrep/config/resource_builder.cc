#include "blockrep/config/resource_builder.hh"

#include <algorithm>

#include "blockrep/config/host_builder.hh"
#include "blockrep/config/options.hh"

namespace blockrep::config {
namespace {

constexpr std::string_view resource_keywords =
    "protocol device disk meta-disk flexible-meta-disk on volume connection connection-mesh net options handlers "
    "startup syncer proxy";

class ResourceBuilder {
  public:
    ResourceBuilder(const Statement& statement, std::vector<Warning>& warnings)
        : statement_(statement), warnings_(warnings) {}

    base::Result<ResourceConfig> build(const std::vector<const Statement*>& commons);

  private:
    base::Result<void> apply_section(const Statement& section);
    base::Result<void> apply_common(const Statement& common);
    base::Result<void> read_own_options();
    base::Result<void> read_own_option(const Statement& statement);
    base::Result<void> read_hosts();
    base::Result<void> read_connection(const Statement& connection);
    base::Result<void> read_connection_part(const Statement& part);
    base::Result<void> read_mesh(const Statement& mesh);
    base::Result<void> finish();
    base::Result<void> check_hosts() const;
    base::Result<void> check_net() const;

    const Statement& statement_;
    std::vector<Warning>& warnings_;
    ResourceConfig resource_;
    HostDefaults defaults_;
};

bool valid_name(const std::string& name) {
    return !name.empty() && name.size() <= 63 && name != "all" && name.front() != '-' && name.front() != '.' &&
           name.find_first_of("/,%@+") == std::string::npos;
}

base::Result<ResourceConfig> ResourceBuilder::build(const std::vector<const Statement*>& commons) {
    if (!statement_.body || statement_.values.size() != 1) {
        return config_failure(ConfigErrc::syntax, statement_.at, "write resource NAME { ... }");
    }
    resource_.name = statement_.values.front().text;
    resource_.at = statement_.at;
    if (!valid_name(resource_.name)) {
        return config_failure(
            ConfigErrc::bad_value, statement_.at,
            "`" + resource_.name + "` cannot be the name of a resource: letters, digits, _ - and . only");
    }
    for (const auto* common : commons) BASE_TRY(apply_common(*common));
    BASE_TRY(read_own_options());
    BASE_TRY(read_hosts());
    BASE_TRY(finish());
    return std::move(resource_);
}

base::Result<void> ResourceBuilder::apply_section(const Statement& section) {
    for (const auto& option : *section.body) BASE_TRY(apply_option(section.keyword, option, resource_, warnings_));
    return {};
}

base::Result<void> ResourceBuilder::apply_common(const Statement& common) {
    for (const auto& part : *common.body) {
        if (part.body && is_option_section(part.keyword)) {
            BASE_TRY(apply_section(part));
        } else if (part.keyword == "protocol") {
            BASE_TRY(apply_option("net", part, resource_, warnings_));
        } else {
            return config_failure(ConfigErrc::unknown, part.at,
                                  "`" + part.keyword +
                                      "` is not known in section `common`; known: protocol and the "
                                      "sections net disk options handlers startup syncer proxy");
        }
    }
    return {};
}

base::Result<void> ResourceBuilder::read_own_options() {
    for (const auto& part : *statement_.body) BASE_TRY(read_own_option(part));
    return {};
}

base::Result<void> ResourceBuilder::read_own_option(const Statement& part) {
    if (part.body && is_option_section(part.keyword)) return apply_section(part);
    if (part.keyword == "protocol") return apply_option("net", part, resource_, warnings_);
    if (is_volume_keyword(part.keyword)) return defaults_.read(part);
    if (part.keyword == "volume") return defaults_.read_volume(part, resource_, warnings_);
    if (part.keyword == "connection" || part.keyword == "connection-mesh" || part.keyword == "on") return {};
    if (part.keyword == "floating" || part.keyword == "stacked-on-top-of" || part.keyword == "template-file") {
        return config_failure(
            ConfigErrc::unsupported, part.at,
            "`" + part.keyword + "` is not offered: write `on HOST { ... }` for each of the two hosts");
    }
    return config_failure(
        ConfigErrc::unknown, part.at,
        "`" + part.keyword + "` is not known in section `resource`; known: " + std::string(resource_keywords));
}

base::Result<void> ResourceBuilder::read_hosts() {
    for (const auto& part : *statement_.body) {
        if (part.keyword == "on") BASE_TRY(read_host(part, defaults_, resource_, warnings_));
    }
    for (const auto& part : *statement_.body) {
        if (part.keyword == "connection") BASE_TRY(read_connection(part));
        if (part.keyword == "connection-mesh") BASE_TRY(read_mesh(part));
    }
    return {};
}

base::Result<void> ResourceBuilder::read_connection(const Statement& connection) {
    if (!connection.body) return config_failure(ConfigErrc::syntax, connection.at, "write connection { ... }");
    for (const auto& part : *connection.body) BASE_TRY(read_connection_part(part));
    return {};
}

base::Result<void> ResourceBuilder::read_connection_part(const Statement& part) {
    if (part.keyword == "host" && !part.body) return read_connection_host(part, resource_);
    if (part.body && (part.keyword == "net" || part.keyword == "disk")) return apply_section(part);
    if (part.body && part.keyword == "path") return read_connection(part);
    if (part.body && part.keyword == "volume") return {};
    return config_failure(
        ConfigErrc::unknown, part.at,
        "`" + part.keyword + "` is not known in section `connection`; known: host net disk path volume");
}

base::Result<void> ResourceBuilder::read_mesh(const Statement& mesh) {
    if (!mesh.body) return config_failure(ConfigErrc::syntax, mesh.at, "write connection-mesh { hosts ...; }");
    for (const auto& part : *mesh.body) {
        if (part.keyword == "hosts" && !part.body) {
            for (const auto& name : part.values) {
                if (resource_.host(name.text) == nullptr) {
                    return config_failure(ConfigErrc::missing, part.at, "there is no section `on " + name.text + "`");
                }
            }
        } else if (part.body && part.keyword == "net") {
            BASE_TRY(apply_section(part));
        } else {
            return config_failure(ConfigErrc::unknown, part.at,
                                  "`" + part.keyword + "` is not known in section `connection-mesh`; known: hosts net");
        }
    }
    return {};
}

base::Result<void> ResourceBuilder::finish() {
    if (const auto volume = defaults_.volume()) resource_.volume = *volume;
    BASE_TRY(check_hosts());
    return check_net();
}

base::Result<void> ResourceBuilder::check_hosts() const {
    if (resource_.hosts.size() != 2) {
        return config_failure(resource_.hosts.size() < 2 ? ConfigErrc::missing : ConfigErrc::unsupported, resource_.at,
                              "resource `" + resource_.name +
                                  "` needs exactly two sections `on HOST { ... }`, it has " +
                                  std::to_string(resource_.hosts.size()));
    }
    for (const auto& host : resource_.hosts) {
        if (host.address.port == 0) {
            return config_failure(ConfigErrc::missing, host.at,
                                  "host `" + host.name + "` has no address: write `address 192.0.2.1:7789;`");
        }
        if (host.disk.empty()) {
            return config_failure(ConfigErrc::missing, host.at,
                                  "host `" + host.name + "` has no disk: write `disk /dev/...;`");
        }
    }
    if (resource_.hosts[0].address == resource_.hosts[1].address) {
        return config_failure(ConfigErrc::conflict, resource_.hosts[1].at,
                              "both hosts have the address " + resource_.hosts[1].address.text());
    }
    return {};
}

base::Result<void> ResourceBuilder::check_net() const {
    const auto& net = resource_.net;
    if (net.shared_secret.empty()) {
        return config_failure(ConfigErrc::missing, resource_.at,
                              "resource `" + resource_.name +
                                  "` has no secret: write net { cram-hmac-alg sha256; shared-secret \"...\"; }");
    }
    if (net.timeout >= net.connect_interval || net.timeout >= net.ping_interval) {
        return config_failure(ConfigErrc::conflict, resource_.at,
                              "`timeout` (" + std::to_string(net.timeout.to_milliseconds()) +
                                  " ms) must be shorter than `connect-int` and `ping-int`");
    }
    return {};
}

}  // namespace

base::Result<ResourceConfig> build_resource(const Statement& statement, const std::vector<const Statement*>& commons,
                                            std::vector<Warning>& warnings) {
    return ResourceBuilder(statement, warnings).build(commons);
}

}  // namespace blockrep::config
