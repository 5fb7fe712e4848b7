#include "clusterfs/driver/mounted_filesystem.hh"

#include <unistd.h>

#include <boost/json.hpp>
#include <utility>

#include "base/io/log.hh"
#include "base/io/paths.hh"

namespace clusterfs {
namespace {

constexpr int exit_status_of_lost_locks = 32;
constexpr auto grace_of_open_files = base::Duration::seconds(5);

}  // namespace

std::string mount_socket_path(const std::string& name) { return base::run_path("cfs/mount-" + name + ".sock"); }

MountedFilesystem::MountedFilesystem(base::EventLoop& loop, MountSetup setup, Callbacks callbacks)
    : loop_(loop),
      setup_(std::move(setup)),
      callbacks_(std::move(callbacks)),
      advisory_(loop, std::move(setup_.group), setup_.self),
      driver_(setup_.mount, *setup_.device, *setup_.locks, loop),
      filesystem_(driver_, advisory_, setup_.filesystem) {}

MountedFilesystem::~MountedFilesystem() = default;

base::Result<void> MountedFilesystem::start() {
    auto control = base::ControlServer::listen(loop_, mount_socket_path(setup_.name),
                                               [this](const boost::json::object& request, const base::ControlCaller&,
                                                      base::ControlReply reply) { answer(request, std::move(reply)); });
    if (!control) {
        auto error = control.error();
        if (error.code == std::errc::address_in_use) error.detail = setup_.name + " is already mounted on this node";
        return std::unexpected(std::move(error));
    }
    control_ = *std::move(control);
    BASE_TRY(advisory_.start("cfs-locks-" + setup_.name, [this](const base::Error& error) {
        // Without the group, what others lock is not known any more.
        on_locks_lost(error);
    }));

    MountDriver::Callbacks events;
    events.started = [this] { loop_.post([this] { on_started(); }); };
    events.stopped = [this](base::Result<void> outcome) {
        loop_.post([this, outcome = std::move(outcome)] { on_stopped(outcome); });
    };
    events.forget_in_kernel = [this](InodeNumber inode, bool is_directory, const std::function<void()>& done) {
        filesystem_.forget_in_kernel(inode, is_directory, done);
    };
    events.node_died = [this](const base::NodeIncarnation& node) { advisory_.on_fenced(node); };
    events.became_read_only = [this](const base::Error& reason) {
        base::log_error("{} can no longer be changed: {}", setup_.name, reason.message());
    };
    events.locks_lost = [this](const base::Error& error) { on_locks_lost(error); };
    driver_.start(std::move(events));
    return {};
}

void MountedFilesystem::on_started() {
    if (stopping_) return;
    auto session = FuseSession::mount(filesystem_, setup_.fuse);
    if (!session) {
        stopping_ = true;
        callbacks_.stopped = [told = std::move(callbacks_.stopped), error = session.error()](const auto&) {
            told(std::unexpected(error));
        };
        return driver_.stop();
    }
    session_ = *std::move(session);
    session_->serve([this] { loop_.post([this] { on_kernel_let_go(); }); });
    callbacks_.mounted();
}

void MountedFilesystem::stop() {
    if (stopping_) return;
    if (session_ == nullptr) {
        stopping_ = true;
        return driver_.stop();
    }
    session_->unmount();
    grace_ = loop_.after(grace_of_open_files, [this] {
        base::log_warning("files of {} are still open: they are cut off", setup_.name);
        on_kernel_let_go();
    });
}

void MountedFilesystem::on_kernel_let_go() {
    if (std::exchange(stopping_, true)) return;
    grace_.reset();
    session_->abort();
    filesystem_.set_notifier(nullptr);  // nobody remembers anything any more
    driver_.stop();
}

// The locks were given back; now the lockspace and the group of advisory locks are left. If they were not, because what
// they cover is in our journal only, others must replay it first: as after a death, so it is one.
void MountedFilesystem::on_stopped(base::Result<void> outcome) {
    if (!outcome && session_ != nullptr) {
        base::log_error("{}: its locks cannot be given back, the mount ends at once: {}", setup_.name,
                        outcome.error().message());
        die(outcome.error());
    }
    if (session_ != nullptr) session_->abort();
    advisory_.leave();
    setup_.locks->leave([this, outcome = std::move(outcome)] { loop_.post([this, outcome] { end(outcome); }); });
}

void MountedFilesystem::end(base::Result<void> outcome) {
    if (std::exchange(ended_, true)) return;
    control_.reset();
    callbacks_.stopped(std::move(outcome));
}

// Nothing of ours may reach the device from now on, or it would overwrite what others wrote: whatever is cached dies
// with the process, and the device's other end certifies that.
void MountedFilesystem::on_locks_lost(const base::Error& error) {
    base::log_error("{}: the locks are lost, the mount ends at once: {}", setup_.name, error.message());
    die(error);
}

void MountedFilesystem::die(const base::Error& error) {
    if (session_ != nullptr) {
        session_->unmount();
    } else {
        callbacks_.stopped(std::unexpected(error));
    }
    base::close_log();
    ::_exit(exit_status_of_lost_locks);
}

void MountedFilesystem::answer(const boost::json::object& request, base::ControlReply reply) {
    const auto* command = request.if_contains("command");
    if (command == nullptr || !command->is_string()) return reply.error("no command");
    if (command->as_string() == "status") {
        reply.ok_raw("status", describe());
    } else if (command->as_string() == "unmount") {
        reply.ok();
        stop();
    } else {
        reply.error("unknown command " + std::string(command->as_string()));
    }
}

std::string MountedFilesystem::describe() {
    base::JsonWriter json;
    json.begin_object().member("name", setup_.name).member("mountpoint", setup_.fuse.mountpoint);
    json.member("process", ::getpid());
    json.member("kernel_entries_cached", session_ != nullptr && session_->has_epoch());
    json.member("known_inodes", filesystem_.known().size()).member("open_inodes", filesystem_.open_inodes().size());
    json.member("deletions", filesystem_.deletions().running());
    json.member("invalidations_queued", driver_.invalidator().queued());
    json.key("dirty_tails");
    driver_.appended().tails().describe(json);
    json.key("blocks_under_way");
    driver_.appended().blocks().describe(json);
    json.key("mount");
    driver_.describe(json);
    json.key("lockspace");
    setup_.locks->describe(json);
    json.key("advisory_locks");
    advisory_.describe(json);
    if (setup_.describe_device) {
        json.key("device");
        setup_.describe_device(json);
    }
    json.end_object();
    return json.text();
}

}  // namespace clusterfs
