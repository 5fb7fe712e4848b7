#include "blockrep/config/options.hh"

#include <algorithm>
#include <array>

namespace blockrep::config {
namespace {

// One option as it was written: flags and the `no-` prefix are told from the value.
struct Setting {
    const Statement& statement;
    std::string_view value;
    bool has_value = false;
    bool negated = false;
};

using Reader = base::Result<void> (*)(const Setting&, ResourceConfig&);

struct OptionRule {
    std::string_view section;
    std::string_view name;
    Reader read;  // null: known, not heeded
};

base::Result<std::string> single(const Setting& setting) {
    if (setting.negated) {
        return config_failure(ConfigErrc::bad_value, setting.statement.at,
                              "`" + setting.statement.keyword + "` is no switch: `no-` has no meaning here");
    }
    BASE_TRY(expect_values(setting.statement, 1, 1));
    return std::string(setting.value);
}

base::Result<bool> boolean(const Setting& setting) {
    if (setting.negated || !setting.has_value) {
        BASE_TRY(expect_values(setting.statement, 0, 0));
        return !setting.negated;
    }
    BASE_TRY(expect_values(setting.statement, 1, 1));
    if (setting.value == "yes") return true;
    if (setting.value == "no") return false;
    return config_failure(ConfigErrc::bad_value, setting.statement.at,
                          "`" + setting.statement.keyword + "` is yes or no, not `" + std::string(setting.value) + "`");
}

base::Result<std::uint64_t> number(const Setting& setting, std::uint64_t least, std::uint64_t most) {
    BASE_ASSIGN(const std::string text, single(setting));
    return parse_number(setting.statement, text, least, most);
}

std::unexpected<base::Error> no_choice(const Setting& setting, std::string_view choices) {
    return config_failure(ConfigErrc::bad_value, setting.statement.at,
                          "`" + setting.statement.keyword + "` is " + std::string(choices) + ", not `" +
                              std::string(setting.value) + "`");
}

base::Result<void> read_protocol(const Setting& setting, ResourceConfig&) {
    BASE_ASSIGN(const std::string letter, single(setting));
    if (letter == "C" || letter == "c") return {};
    if (letter == "A" || letter == "a" || letter == "B" || letter == "b") {
        return config_failure(
            ConfigErrc::unsupported, setting.statement.at,
            "protocol " + letter + " is not offered: write `protocol C;` (acknowledged by both disks)");
    }
    return no_choice(setting, "A, B or C");
}

base::Result<void> read_two_primaries(const Setting& setting, ResourceConfig& resource) {
    BASE_ASSIGN(resource.net.allow_two_primaries, boolean(setting));
    return {};
}

base::Result<void> read_secret(const Setting& setting, ResourceConfig& resource) {
    BASE_ASSIGN(std::string secret, single(setting));
    if (secret.empty() || secret.size() > 64) {
        return config_failure(ConfigErrc::bad_value, setting.statement.at, "`shared-secret` has 1 to 64 characters");
    }
    resource.net.shared_secret = std::move(secret);
    return {};
}

base::Result<void> read_hmac(const Setting& setting, ResourceConfig&) {
    BASE_TRY(single(setting));
    return {};  // peers always prove the secret with HMAC-SHA-256, whatever is asked for
}

base::Result<void> read_fencing(const Setting& setting, ResourceConfig& resource) {
    BASE_ASSIGN(const std::string policy, single(setting));
    if (policy == "dont-care") {
        resource.net.fencing = FencingPolicy::dont_care;
    } else if (policy == "resource-only" || policy == "resource-and-stonith") {
        resource.net.fencing = FencingPolicy::resource_and_stonith;
    } else {
        return no_choice(setting, "dont-care, resource-only or resource-and-stonith");
    }
    return {};
}

base::Result<void> read_timeout(const Setting& setting, ResourceConfig& resource) {
    BASE_ASSIGN(const auto tenths, number(setting, 1, 600));
    resource.net.timeout = base::Duration::milliseconds(static_cast<std::int64_t>(tenths) * 100);
    return {};
}

base::Result<void> read_ping_interval(const Setting& setting, ResourceConfig& resource) {
    BASE_ASSIGN(const auto seconds, number(setting, 1, 120));
    resource.net.ping_interval = base::Duration::seconds(static_cast<std::int64_t>(seconds));
    return {};
}

base::Result<void> read_ping_timeout(const Setting& setting, ResourceConfig& resource) {
    BASE_ASSIGN(const auto tenths, number(setting, 1, 300));
    resource.net.ping_timeout = base::Duration::milliseconds(static_cast<std::int64_t>(tenths) * 100);
    return {};
}

base::Result<void> read_connect_interval(const Setting& setting, ResourceConfig& resource) {
    BASE_ASSIGN(const auto seconds, number(setting, 1, 120));
    resource.net.connect_interval = base::Duration::seconds(static_cast<std::int64_t>(seconds));
    return {};
}

base::Result<void> read_al_extents(const Setting& setting, ResourceConfig& resource) {
    BASE_ASSIGN(const auto extents, number(setting, 67, 65534));
    resource.disk.al_extents = static_cast<std::uint32_t>(extents);
    return {};
}

base::Result<void> read_on_io_error(const Setting& setting, ResourceConfig& resource) {
    BASE_ASSIGN(const std::string policy, single(setting));
    if (policy == "detach" || policy == "call-local-io-error" || policy == "panic") {
        resource.disk.on_io_error = OnIoError::detach;
    } else if (policy == "pass_on") {
        resource.disk.on_io_error = OnIoError::pass_on;
    } else {
        return no_choice(setting, "detach or pass_on");
    }
    return {};
}

constexpr OptionRule heeded[] = {
    {"net", "protocol", read_protocol},
    {"net", "allow-two-primaries", read_two_primaries},
    {"net", "shared-secret", read_secret},
    {"net", "cram-hmac-alg", read_hmac},
    {"net", "fencing", read_fencing},
    {"net", "timeout", read_timeout},
    {"net", "ping-int", read_ping_interval},
    {"net", "ping-timeout", read_ping_timeout},
    {"net", "connect-int", read_connect_interval},
    {"disk", "fencing", read_fencing},
    {"disk", "al-extents", read_al_extents},
    {"disk", "on-io-error", read_on_io_error},
    {"syncer", "al-extents", read_al_extents},
};

// Known from DRBD 8.0 to 9, accepted, without effect.
struct IgnoredSection {
    std::string_view section;
    std::string_view names;  // separated by blanks; "*" is any
};

constexpr IgnoredSection ignored[] = {
    {"net",
     "sndbuf-size rcvbuf-size max-buffers unplug-watermark max-epoch-size ko-count on-disconnect after-sb-0pri "
     "after-sb-1pri after-sb-2pri always-asbp rr-conflict data-integrity-alg tcp-cork on-congestion congestion-fill "
     "congestion-extents csums-alg verify-alg use-rle csums-after-crash-only socket-check-timeout transport "
     "load-balance-paths allow-remote-read _name"},
    {"disk",
     "size use-bmbv disk-barrier disk-flushes disk-drain md-flushes max-bio-bvecs disk-timeout resync-rate "
     "resync-after al-updates c-plan-ahead c-delay-target c-fill-target c-max-rate c-min-rate read-balancing "
     "discard-zeroes-if-aligned disable-write-same rs-discard-granularity bitmap block-size discard-granularity "
     "max-bio-size peer-tiebreaker resync-without-replication"},
    {"syncer",
     "rate group after verify-alg csums-alg cpu-mask use-rle c-plan-ahead c-delay-target c-fill-target c-max-rate "
     "c-min-rate on-no-data-accessible delay-probe-volume delay-probe-interval throttle-threshold "
     "hold-off-threshold"},
    {"options",
     "cpu-mask on-no-data-accessible auto-promote auto-promote-timeout peer-ack-window peer-ack-delay twopc-timeout "
     "twopc-retry-timeout max-io-depth quorum on-no-quorum quorum-minimum-redundancy on-suspended-primary-outdated "
     "drbd8-api-compatibility"},
    {"startup", "wfc-timeout degr-wfc-timeout outdated-wfc-timeout stacked-timeouts become-primary-on wait-after-sb"},
    {"handlers", "*"},
    {"proxy", "*"},
};

const OptionRule* find_heeded(std::string_view section, std::string_view name) {
    const auto* rule = std::ranges::find_if(
        heeded, [&](const OptionRule& candidate) { return candidate.section == section && candidate.name == name; });
    return rule == std::end(heeded) ? nullptr : rule;
}

bool is_ignored(std::string_view section, std::string_view name) {
    return std::ranges::any_of(ignored, [&](const IgnoredSection& candidate) {
        if (candidate.section != section) return false;
        if (candidate.names == "*") return true;
        return (" " + std::string(candidate.names) + " ").find(" " + std::string(name) + " ") != std::string::npos;
    });
}

std::string known_options(std::string_view section) {
    std::string names;
    for (const auto& rule : heeded) {
        if (rule.section == section) names += (names.empty() ? "" : " ") + std::string(rule.name);
    }
    for (const auto& rest : ignored) {
        if (rest.section == section) names += (names.empty() ? "" : "; without effect: ") + std::string(rest.names);
    }
    return names;
}

Setting setting_of(const Statement& statement, bool negated) {
    const bool has_value = !statement.values.empty();
    return {statement, has_value ? std::string_view(statement.values.front().text) : std::string_view{}, has_value,
            negated};
}

}  // namespace

bool is_option_section(std::string_view section) {
    return std::ranges::any_of(ignored, [&](const IgnoredSection& known) { return known.section == section; });
}

base::Result<void> apply_option(std::string_view section, const Statement& statement, ResourceConfig& resource,
                                std::vector<Warning>& warnings) {
    if (statement.body) {
        return config_failure(ConfigErrc::unknown, statement.at,
                              "`" + std::string(section) + "` has no sections inside, but `" + statement.keyword + "`");
    }
    if (const auto* rule = find_heeded(section, statement.keyword)) {
        return rule->read(setting_of(statement, false), resource);
    }
    std::string_view name = statement.keyword;
    if (name.starts_with("no-")) {
        if (const auto* rule = find_heeded(section, name.substr(3))) {
            return rule->read(setting_of(statement, true), resource);
        }
        if (is_ignored(section, name.substr(3))) name.remove_prefix(3);
    }
    if (!is_ignored(section, name)) {
        return config_failure(ConfigErrc::unknown, statement.at,
                              "`" + statement.keyword + "` is not known in section `" + std::string(section) +
                                  "`; known: " + known_options(section));
    }
    warnings.push_back(
        {statement.at, "`" + statement.keyword + "` in `" + std::string(section) + "` has no effect here"});
    return {};
}

base::Result<void> expect_values(const Statement& statement, std::size_t least, std::size_t most) {
    if (statement.values.size() >= least && statement.values.size() <= most) return {};
    std::string what = "`" + statement.keyword + "` takes " + std::to_string(least) +
                       (most > least ? " to " + std::to_string(most) : std::string()) + " values, not " +
                       std::to_string(statement.values.size());
    if (statement.values.size() > most && statement.values.back().at.line > statement.at.line) {
        what += " (is a ; missing on line " + std::to_string(statement.at.line) + "?)";
    }
    return config_failure(ConfigErrc::syntax, statement.at, what);
}

base::Result<std::uint64_t> parse_number(const Statement& statement, std::string_view text, std::uint64_t least,
                                         std::uint64_t most) {
    std::string_view digits = text;
    std::uint64_t factor = 1;
    if (!digits.empty()) {
        switch (digits.back()) {
            case 'K':
            case 'k':
                factor = 1U << 10;
                break;
            case 'M':
            case 'm':
                factor = 1U << 20;
                break;
            case 'G':
            case 'g':
                factor = 1U << 30;
                break;
            case 's':
                factor = 512;
                break;
            default:
                break;
        }
        if (factor != 1) digits.remove_suffix(1);
    }
    const bool only_digits = !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
    std::uint64_t value = 0;
    if (only_digits && digits.size() <= 9) {
        for (const char c : digits) value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    value *= factor;
    if (!only_digits || digits.size() > 9 || value < least || value > most) {
        return config_failure(ConfigErrc::bad_value, statement.at,
                              "`" + statement.keyword + "` is a number from " + std::to_string(least) + " to " +
                                  std::to_string(most) + ", not `" + std::string(text) + "`");
    }
    return value;
}

}  // namespace blockrep::config
