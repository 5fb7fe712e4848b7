#include "clusterfs/driver/fuse_connection.hh"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/io/file_descriptor.hh"

namespace clusterfs {
namespace {

// fusectl, wherever it is mounted or not: nobody else sees this mount of it.
base::Result<base::FileDescriptor> open_fuse_control() {
    const base::FileDescriptor context(::fsopen("fusectl", FSOPEN_CLOEXEC));
    if (!context.is_open()) return base::errno_failure(errno, "fusectl");
    if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return base::errno_failure(errno, "fusectl");
    base::FileDescriptor control(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
    if (!control.is_open()) return base::errno_failure(errno, "fusectl");
    return control;
}

}  // namespace

std::optional<unsigned> fuse_connection_at(const std::string& mountpoint) {
    struct statx about {};
    // Of the root the kernel knows enough: the daemon is not asked.
    if (::statx(AT_FDCWD, mountpoint.c_str(), AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW, 0, &about) != 0) return {};
    if (about.stx_dev_major != 0) return {};
    return about.stx_dev_minor;
}

base::Result<void> abort_fuse_connection(unsigned number) {
    BASE_ASSIGN(const auto control, open_fuse_control());
    const auto path = std::to_string(number) + "/abort";
    const base::FileDescriptor file(::openat(control.get(), path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file.is_open() || ::write(file.get(), "1", 1) != 1) return base::errno_failure(errno, "fusectl: " + path);
    return {};
}

}  // namespace clusterfs
