#include "blockrep/driver/config_files.hh"

#include <glob.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/io/paths.hh"
#include "blockrep/config/config_error.hh"

namespace blockrep {
namespace {

constexpr std::uintmax_t largest_file = 1 << 20;  // bytes

base::Result<config::SourceFile> read_file(const std::string& path) {
    std::error_code ec;
    const auto size = std::filesystem::file_size(path, ec);
    if (ec) return base::failure(config::ConfigErrc::unreadable, path + ": " + ec.message());
    if (size > largest_file) return base::failure(config::ConfigErrc::unreadable, path + ": longer than 1 MiB");
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) return base::failure(config::ConfigErrc::unreadable, path);
    return config::SourceFile{path, text.str()};
}

base::Result<std::vector<config::SourceFile>> find_files(const std::string& from, const std::string& pattern) {
    const auto whole =
        pattern.starts_with('/') ? pattern : (std::filesystem::path(from).parent_path() / pattern).string();
    glob_t found{};
    const int result = ::glob(whole.c_str(), 0, nullptr, &found);
    std::vector<std::string> paths;
    for (std::size_t i = 0; result == 0 && i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
    const bool wild = pattern.find_first_of("*?[") != std::string::npos;
    if (paths.empty() && !wild) return base::failure(config::ConfigErrc::unreadable, whole + ": there is no such file");
    std::vector<config::SourceFile> files;
    for (const auto& path : paths) {
        BASE_ASSIGN(auto file, read_file(path));
        files.push_back(std::move(file));
    }
    return files;
}

}  // namespace

std::string standard_config_path() { return base::etc_path("blockrep.conf"); }

base::Result<config::Configuration> load_configuration(const std::string& path) {
    BASE_ASSIGN(const auto file, read_file(path));
    return config::parse_configuration(file, find_files);
}

std::string own_host_name() {
    const char* named = std::getenv("CFS_NODE_NAME");
    if (named != nullptr && *named != '\0') return named;
    utsname names{};
    return ::uname(&names) == 0 ? names.nodename : "localhost";
}

base::Result<const config::HostConfig*> own_host(const config::ResourceConfig& resource) {
    const auto name = own_host_name();
    if (const auto* host = resource.host(name)) return host;
    return base::failure(config::ConfigErrc::missing,
                         resource.at.text() + ": resource " + resource.name + " has no section `on " + name +
                             "`; it has " + resource.hosts.front().name + " and " + resource.hosts.back().name);
}

}  // namespace blockrep
