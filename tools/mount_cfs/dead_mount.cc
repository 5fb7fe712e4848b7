#include "tools/mount_cfs/dead_mount.hh"

#include <fstream>
#include <iterator>
#include <utility>

#include "clusterfs/driver/fuse_connection.hh"

namespace mount_cfs {
namespace {

constexpr auto interval = base::Duration::milliseconds(500);

// proc(5): the first thread has ended. As long as another lives the process has not, and its number is its own.
bool has_died(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto behind_name = text.rfind(") ");
    return behind_name != std::string::npos && text.compare(behind_name + 2, 1, "Z") == 0;
}

}  // namespace

DeadMountWatch::DeadMountWatch(base::EventLoop& loop, pid_t process, unsigned connection, std::string mountpoint,
                               Tell tell)
    : loop_(loop),
      process_(process),
      connection_(connection),
      mountpoint_(std::move(mountpoint)),
      tell_(std::move(tell)) {
    look_later();
}

void DeadMountWatch::look_later() {
    timer_ = loop_.after(interval, [this] { look(); });
}

// A number is used again when its filesystem is gone: ours is there as long as the mountpoint has it.
void DeadMountWatch::look() {
    if (has_died(process_) && clusterfs::fuse_connection_at(mountpoint_) == connection_) {
        const auto aborted = clusterfs::abort_fuse_connection(connection_);
        const auto what = "mount.cfs (process " + std::to_string(process_) + ") was killed and cannot end: ";
        const auto how = "its FUSE connection " + std::to_string(connection_);
        if (auto tell = std::exchange(tell_, nullptr)) {
            tell(what + (aborted ? how + " is aborted"
                                 : how + " cannot be aborted, write 1 to /sys/fs/fuse/connections/" +
                                       std::to_string(connection_) + "/abort: " + aborted.error().message()));
        }
    }
    look_later();
}

}  // namespace mount_cfs
