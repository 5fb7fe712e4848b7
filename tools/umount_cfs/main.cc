// umount(8) calls this for our filesystems. The kernel lets go of a FUSE filesystem before its daemon has written
// everything down; who unmounts in order to check, to mount again or to switch off wants to wait for that.
// Exit status: 0 unmounted and the daemon has ended, 1 wrong usage, 32 not unmounted.
#include <poll.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/umount_cfs/daemon_of.hh"

namespace {

enum ExitStatus { exit_ok = 0, exit_usage = 1, exit_failed = 32 };

constexpr int patience_ms = 120'000;

struct Call {
    std::string mountpoint;
    int flags = UMOUNT_NOFOLLOW;
    bool lazy = false;
};

bool parse(int count, char** values, Call& call) {
    for (int option = 0; (option = ::getopt(count, values, "flnrvN:t:O:")) != -1;) {
        if (option == '?') return false;
        if (option == 'f') call.flags |= MNT_FORCE;
        if (option == 'l') call.lazy = true;
    }
    if (optind + 1 != count) return false;
    call.mountpoint = values[optind];
    if (call.lazy) call.flags |= MNT_DETACH;
    return true;
}

int wait_for_end(const base::FileDescriptor& daemon, const Call& call) {
    pollfd end{daemon.get(), POLLIN, 0};
    int ready = 0;
    do {
        ready = ::poll(&end, 1, patience_ms);
    } while (ready < 0 && errno == EINTR);
    if (ready > 0) return exit_ok;
    std::fprintf(stderr, "umount: %s is unmounted, but its mount.cfs still writes after %d s\n",
                 call.mountpoint.c_str(), patience_ms / 1000);
    return exit_failed;
}

}  // namespace

int main(int count, char** values) {
    Call call;
    if (!parse(count, values, call)) {
        std::fprintf(stderr, "usage: umount.cfs [-fl] DIRECTORY\n");
        return exit_usage;
    }
    const auto daemon = umount_cfs::daemon_of(call.mountpoint);
    if (::umount2(call.mountpoint.c_str(), call.flags) != 0) {
        std::fprintf(stderr, "umount: %s: %s\n", call.mountpoint.c_str(), std::strerror(errno));
        return exit_failed;
    }
    // A lazy one may be in use for long; a forced one serves nobody any more.
    if (call.lazy || !daemon.is_open()) return exit_ok;
    return wait_for_end(daemon, call);
}
