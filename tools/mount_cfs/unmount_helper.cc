#include "tools/mount_cfs/unmount_helper.hh"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/io/file_descriptor.hh"

namespace mount_cfs {
namespace {

constexpr auto directory = "/run/mount";
constexpr auto table = "/run/mount/utab";
constexpr auto table_lock = "/run/mount/utab.lock";

// As fstab(5) has it.
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c != ' ' && c != '\t' && c != '\n' && c != '\\') {
            out += c;
            continue;
        }
        char octal[5];
        std::snprintf(octal, sizeof octal, "\\%03o", static_cast<unsigned>(c));
        out += octal;
    }
    return out;
}

}  // namespace

base::Result<void> note_unmount_helper(const std::string& source, const std::string& mountpoint) {
    if (::mkdir(directory, 0755) != 0 && errno != EEXIST) return base::errno_failure(errno, directory);
    const base::FileDescriptor lock(::open(table_lock, O_RDONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!lock.is_open() || ::flock(lock.get(), LOCK_EX) != 0) return base::errno_failure(errno, table_lock);
    const base::FileDescriptor file(::open(table, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (!file.is_open()) return base::errno_failure(errno, table);
    ::fchmod(file.get(), 0644);
    const auto line = "SRC=" + escaped(source) + " TARGET=" + escaped(mountpoint) + " ROOT=/ OPTS=uhelper=cfs\n";
    if (::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
        return base::errno_failure(errno, table);
    }
    return {};
}

}  // namespace mount_cfs
