// Everything that makes one mount, put together: device, locks, core, FUSE, control socket. Where device and locks come
// from is the caller's business.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/block_device.hh"
#include "base/io/control_server.hh"
#include "base/io/event_loop.hh"
#include "clusterfs/driver/filesystem.hh"
#include "clusterfs/driver/fuse_session.hh"
#include "clusterfs/driver/lock_service.hh"
#include "clusterfs/driver/mount_driver.hh"
#include "clusterfs/driver/posix_lock_service.hh"

namespace clusterfs {

// Where the status of a mount is to be had; `name` is the resource's.
std::string mount_socket_path(const std::string& name);

struct MountSetup {
    std::string name;  // of the control socket and of the lockspace
    base::NodeIncarnation self;
    std::unique_ptr<base::BlockDevice> device;
    std::unique_ptr<LockService> locks;
    std::unique_ptr<base::GroupMessenger> group;  // of the advisory locks; null: this node is alone
    // A part of the setup that wants to be shown in the status; may be empty.
    std::function<void(base::JsonWriter&)> describe_device;
    MountOptions mount;
    FilesystemOptions filesystem;
    FuseMountOptions fuse;
};

// Loop thread only, except describe().
class MountedFilesystem {
  public:
    struct Callbacks {
        std::function<void()> mounted;                    // it can be used
        std::function<void(base::Result<void>)> stopped;  // once: it is over, or could not be mounted
    };

    MountedFilesystem(base::EventLoop& loop, MountSetup setup, Callbacks callbacks);
    ~MountedFilesystem();

    // An error: nothing was started.
    base::Result<void> start();
    // Unmounts: everything is written, every lock given back, then `stopped`. Who still has files open loses them after
    // a short while.
    void stop();
    std::string describe();

  private:
    void on_started();
    void on_kernel_let_go();
    void on_stopped(base::Result<void> outcome);
    void end(base::Result<void> outcome);
    [[noreturn]] void on_locks_lost(const base::Error& error);
    [[noreturn]] void die(const base::Error& error);
    void answer(const boost::json::object& request, base::ControlReply reply);

    base::EventLoop& loop_;
    MountSetup setup_;
    Callbacks callbacks_;
    PosixLockService advisory_;
    MountDriver driver_;
    Filesystem filesystem_;
    std::unique_ptr<base::ControlServer> control_;
    std::unique_ptr<FuseSession> session_;
    base::EventLoop::Handle grace_;
    bool stopping_ = false;
    bool ended_ = false;
};

}  // namespace clusterfs
