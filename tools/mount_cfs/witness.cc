#include "tools/mount_cfs/witness.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <vector>

#include "base/io/control_client.hh"
#include "base/io/cpg_messenger.hh"
#include "base/io/log.hh"
#include "base/io/paths.hh"
#include "clusterfs/driver/fuse_connection.hh"
#include "clusterfs/driver/mount_lives.hh"
#include "tools/mount_cfs/background.hh"
#include "tools/mount_cfs/dead_mount.hh"

namespace mount_cfs {
namespace {

using clusterfs::LifeMessage;

constexpr auto drain_limit = base::Duration::seconds(3600);
constexpr auto stays_after_death = base::Duration::seconds(60);

// proc(5): of all filesystems, pages that are neither dirty nor in use, names and attributes. Of a dead one alone it
// cannot be asked.
bool forget_what_is_cached() {
    const base::FileDescriptor file(::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));
    return file.is_open() && ::write(file.get(), "3", 1) == 1;
}

// One line each: "watch RESOURCE MOUNT MACHINE PROCESS", "mounted CONNECTION MOUNTPOINT", "release".
class WitnessProcess {
  public:
    explicit WitnessProcess(int line) : line_(line) {
        watch_ = loop_.watch_readable(line_, [this] { on_line(); });
    }
    void run() { loop_.run(); }

  private:
    void on_line() {
        char part[512];
        const auto got = ::read(line_, part, sizeof part);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
        if (got <= 0) return on_death();
        input_.append(part, static_cast<std::size_t>(got));
        for (auto end = input_.find('\n'); end != std::string::npos; end = input_.find('\n')) {
            obey(input_.substr(0, end));
            input_.erase(0, end + 1);
        }
    }

    void obey(const std::string& line) {
        if (line == "release") {
            loop_.stop();
            return;
        }
        unsigned connection = 0;
        int path = 0;
        if (std::sscanf(line.c_str(), "mounted %u %n", &connection, &path) == 1 && path > 0) {
            dead_mount_.emplace(loop_, process_, connection, line.substr(static_cast<std::size_t>(path)),
                                [this](const std::string& what) { tell(what); });
            return;
        }
        char resource[256], mount[64], machine[64];
        if (std::sscanf(line.c_str(), "watch %255s %63s %63s %d", resource, mount, machine, &process_) != 4) return;
        mount_process_ = base::FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, process_, 0)));
        const auto mount_life = base::Uuid::parse(mount);
        const auto machine_life = base::Uuid::parse(machine);
        if (mount_life && machine_life) join(resource, *mount_life, *machine_life);
    }

    void join(const std::string& resource, const base::Uuid& mount, const base::Uuid& machine) {
        auto group = base::make_cpg_messenger(loop_);
        if (!group) return loop_.stop();
        group_ = *std::move(group);
        resource_ = resource;
        said_ = {LifeMessage::Type::witness, mount, machine, {}};
        base::GroupMessenger::Callbacks events;
        events.view_changed = [this](const base::GroupView& view) {
            if (!view.joined.empty()) say();
        };
        events.message_received = [](const base::GroupMember&, base::ByteView) {};
        events.lost = [this](const base::Error&) { loop_.stop(); };
        if (!group_->join(clusterfs::lives_group(resource), std::move(events))) loop_.stop();
    }

    void say() { static_cast<void>(group_->multicast(encode(said_))); }

    // To the kernel's log, too: a console keeps that when the machine is fenced a second later.
    void tell(const std::string& what) const {
        const auto text = "cfs-witness: " + resource_ + ": " + what;
        const base::FileDescriptor log(::open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
        if (log.is_open()) static_cast<void>(::write(log.get(), text.data(), text.size()));
        base::open_log("cfs-witness", base::run_path("cfs/witness-" + resource_ + ".log"), base::LogLevel::info);
        base::log_error("{}", text);
        base::close_log();
    }

    void give_up(const std::string& why) {
        tell("the mount has died and this machine will be fenced: " + why);
        loop_.stop();
    }

    // Everything of it is closed then, its connection to the kernel too.
    bool wait_for_its_end() const {
        if (!mount_process_.is_open()) return false;
        pollfd ended{mount_process_.get(), POLLIN, 0};
        while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
        }
        return (ended.revents & POLLIN) != 0;
    }

    // blockrepd answers when the last request of the dead client has ended, on this node and its peers. Without that
    // certificate nothing is said, and the others fence the machine as soon as this process is gone. The same goes for
    // what the kernel has cached: whoever has a file open would go on reading there what others have long overwritten.
    void on_death() {
        watch_.reset();
        dead_mount_.reset();
        if (group_ == nullptr) return loop_.stop();
        const boost::json::object request{{"command", "wait-drained"}, {"client", said_.mount.text()}};
        const auto drained = base::call_control(base::run_path("blockrep/control.sock"), request, drain_limit);
        if (!drained)
            return give_up("blockrepd did not say that its requests have ended: " + drained.error().message());
        if (!wait_for_its_end()) return give_up("its end cannot be waited for (pidfd_open needs Linux 5.3)");
        if (!forget_what_is_cached())
            return give_up("/proc/sys/vm/drop_caches cannot be written: make it writable for root");
        said_.type = LifeMessage::Type::drained;
        say();
        timer_ = loop_.after(stays_after_death, [this] {
            group_->leave();
            timer_ = loop_.after(base::Duration::seconds(1), [this] { loop_.stop(); });
        });
    }

    base::EventLoop loop_;
    int line_;
    int process_ = 0;
    base::FileDescriptor mount_process_;
    std::optional<DeadMountWatch> dead_mount_;
    base::EventLoop::Handle watch_;
    base::EventLoop::Handle timer_;
    std::string input_;
    std::string resource_;
    std::unique_ptr<base::GroupMessenger> group_;
    LifeMessage said_;
};

[[noreturn]] void be_witness(int line) {
    ::setsid();
    ::prctl(PR_SET_NAME, "cfs-witness");
    if (::chdir("/") == 0) WitnessProcess(line).run();
    ::_exit(0);
}

}  // namespace

Witness Witness::split() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return {};
    const auto child = ::fork();
    if (child == 0) {
        ::close(ends[1]);
        detach_from_terminal();
        be_witness(ends[0]);
    }
    ::close(ends[0]);
    Witness witness;
    witness.line_ = base::FileDescriptor(ends[1]);
    return witness;
}

void Witness::watch(const std::string& resource, const base::Uuid& mount, const base::Uuid& machine) {
    const auto line =
        "watch " + resource + " " + mount.text() + " " + machine.text() + " " + std::to_string(::getpid()) + "\n";
    if (::write(line_.get(), line.data(), line.size()) < 0) base::log_warning("the mount has no witness");
}

void Witness::mounted(const std::string& mountpoint) {
    if (!line_.is_open()) return;
    const auto connection = clusterfs::fuse_connection_at(mountpoint);
    if (!connection || mountpoint.find('\n') != std::string::npos) return;
    const auto line = "mounted " + std::to_string(*connection) + " " + mountpoint + "\n";
    if (::write(line_.get(), line.data(), line.size()) < 0) base::log_warning("the mount has no witness");
}

void Witness::release() {
    if (!line_.is_open()) return;
    static constexpr char line[] = "release\n";
    if (::write(line_.get(), line, sizeof line - 1) < 0) base::log_debug("the witness is gone");
    line_ = {};
}

}  // namespace mount_cfs
