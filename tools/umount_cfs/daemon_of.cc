#include "tools/umount_cfs/daemon_of.hh"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>

namespace umount_cfs {
namespace {

std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// The name is tried as it stands first: resolving may touch the mounted filesystem, which may not answer.
bool same_place(const std::string& argument, const std::string& mountpoint) {
    if (argument == mountpoint) return true;
    if (!argument.starts_with('/') && !argument.starts_with('.')) return false;
    char resolved[PATH_MAX];
    return ::realpath(argument.c_str(), resolved) != nullptr && mountpoint == resolved;
}

bool serves(const std::filesystem::path& process, const std::string& mountpoint) {
    if (contents(process / "comm") != "mount.cfs\n") return false;
    const auto line = contents(process / "cmdline");
    for (std::size_t at = 0; at < line.size();) {
        const auto end = std::min(line.find('\0', at), line.size());
        if (same_place(line.substr(at, end - at), mountpoint)) return true;
        at = end + 1;
    }
    return false;
}

std::optional<pid_t> number(const std::string& name) {
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
    return pid;
}

}  // namespace

base::FileDescriptor daemon_of(const std::string& mountpoint) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
        const auto pid = number(entry.path().filename());
        if (!pid || !serves(entry.path(), mountpoint)) continue;
        return base::FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
    }
    return {};
}

}  // namespace umount_cfs
