#include "tools/mount_cfs/dead_mount.hh"

#include <fstream>
#include <iterator>
#include <utility>

#include "clusterfs/driver/fuse_connection.hh"

namespace mount_cfs {
namespace {

constexpr auto interval = base::Duration::milliseconds(500);

// proc(5): the first thread has ended. The process itself has not, as long as another lives: its number is not free
// yet.
bool has_died(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto behind_name = text.rfind(") ");
    return behind_name != std::string::npos && text.compare(behind_name + 2, 1, "Z") == 0;
}

}  // namespace

DeadMountWatch::DeadMountWatch(base::EventLoop& loop, pid_t process, unsigned connection, std::string mountpoint)
    : loop_(loop), process_(process), connection_(connection), mountpoint_(std::move(mountpoint)) {
    look_later();
}

void DeadMountWatch::look_later() {
    timer_ = loop_.after(interval, [this] { look(); });
}

// A number is used again when its filesystem is gone: ours is there as long as the mountpoint has it.
void DeadMountWatch::look() {
    if (has_died(process_) && clusterfs::fuse_connection_at(mountpoint_) == connection_) {
        static_cast<void>(clusterfs::abort_fuse_connection(connection_));
    }
    look_later();
}

}  // namespace mount_cfs
