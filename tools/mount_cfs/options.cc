#include "tools/mount_cfs/options.hh"

#include <algorithm>
#include <array>
#include <charconv>

namespace mount_cfs {
namespace {

using clusterfs::operations::AccessTimePolicy;

// For the kernel.
constexpr std::array<std::string_view, 9> passed_on = {"suid",   "nosuid", "dev",   "nodev",  "exec",
                                                       "noexec", "sync",   "async", "dirsync"};
// For mount(8), systemd or the boot scripts.
constexpr std::array<std::string_view, 11> of_others = {"defaults", "auto",   "noauto", "_netdev", "nofail", "user",
                                                        "users",    "nouser", "netdev", "rw",      "silent"};

base::Result<std::uint32_t> number_of(std::string_view name, std::string_view text) {
    std::uint32_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) {
        return base::failure(std::errc::invalid_argument, std::string(name) + "= needs a number");
    }
    return value;
}

bool set_flag(std::string_view name, Options& options) {
    if (name == "ro")
        options.read_only = true;
    else if (name == "local")
        options.local = true;
    else if (name == "nofencing")
        options.nofencing = true;
    else if (name == "nokernelcache")
        options.kernel_caching = false;
    else if (name == "powersave")
        options.powersave = true;
    else if (name == "readmostly")
        options.readmostly = true;
    else if (name == "noatime")
        options.access_time = AccessTimePolicy::never;
    else if (name == "relatime")
        options.access_time = AccessTimePolicy::relative;
    else if (name == "strictatime")
        options.access_time = AccessTimePolicy::strict;
    else
        return false;
    return true;
}

base::Result<bool> set_value(std::string_view name, std::string_view value, Options& options) {
    if (name == "commit") {
        BASE_ASSIGN(const auto seconds, number_of(name, value));
        if (seconds == 0) return base::failure(std::errc::invalid_argument, "commit= is in seconds, at least 1");
        options.commit_interval = base::Duration::seconds(seconds);
    } else if (name == "threads") {
        BASE_ASSIGN(options.threads, number_of(name, value));
    } else if (name == "log") {
        options.log = value;
    } else {
        return false;
    }
    return true;
}

base::Result<void> add_option(std::string_view option, Options& options) {
    if (option.empty() || option.starts_with("x-") || option.starts_with("comment=")) return {};
    if (std::ranges::find(of_others, option) != of_others.end() || set_flag(option, options)) return {};
    if (std::ranges::find(passed_on, option) != passed_on.end()) {
        options.kernel.emplace_back(option);
        return {};
    }
    const auto equals = option.find('=');
    if (equals != std::string_view::npos) {
        BASE_ASSIGN(const bool known, set_value(option.substr(0, equals), option.substr(equals + 1), options));
        if (known) return {};
    }
    return base::failure(std::errc::invalid_argument, "unknown mount option " + std::string(option));
}

}  // namespace

base::Result<void> add_options(std::string_view list, Options& options) {
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        BASE_TRY(add_option(list.substr(0, comma), options));
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    if (options.readmostly && !options.kernel_caching) {
        return base::failure(std::errc::invalid_argument, "readmostly and nokernelcache exclude each other");
    }
    return {};
}

}  // namespace mount_cfs
