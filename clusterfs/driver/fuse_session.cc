#include "clusterfs/driver/fuse_session.hh"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "base/io/cpu_latency.hh"
#include "base/io/log.hh"
#include "clusterfs/driver/fuse_connection.hh"
#include "clusterfs/driver/receiver_placement.hh"
#include "clusterfs/driver/request.hh"

namespace clusterfs {
namespace {

constexpr std::uint32_t largest_transfer = 1024 * 1024;
constexpr unsigned protocol_with_epoch = 44;    // 7.44
constexpr std::int32_t notify_raise_epoch = 8;  // FUSE_NOTIFY_INC_EPOCH; newer than the headers we are built with
constexpr int wake_signal = SIGUSR2;

struct OutHeader {
    std::uint32_t length;
    std::int32_t error;
    std::uint64_t unique;
};

// The kernel keeps to itself who has what open and locked.
void do_without_opens(fuse_conn_info* connection) {
    connection->want &= ~(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS);
    if ((connection->capable & FUSE_CAP_NO_OPEN_SUPPORT) != 0) connection->want |= FUSE_CAP_NO_OPEN_SUPPORT;
}

void init(void* userdata, fuse_conn_info* connection) {
    auto& filesystem = *static_cast<Filesystem*>(userdata);
    const auto want = [connection](unsigned flag) {
        if ((connection->capable & flag) != 0) connection->want |= flag;
    };
    const auto refuse = [connection](unsigned flag) { connection->want &= ~flag; };
    want(FUSE_CAP_ASYNC_READ);
    want(FUSE_CAP_ASYNC_DIO);
    want(FUSE_CAP_ATOMIC_O_TRUNC);
    want(FUSE_CAP_EXPORT_SUPPORT);
    want(FUSE_CAP_DONT_MASK);  // the umask meets the directory's default ACL with us
    want(FUSE_CAP_POSIX_LOCKS);
    want(FUSE_CAP_FLOCK_LOCKS);
    want(FUSE_CAP_READDIRPLUS);
    want(FUSE_CAP_READDIRPLUS_AUTO);
    want(FUSE_CAP_PARALLEL_DIROPS);
    want(FUSE_CAP_HANDLE_KILLPRIV);
    want(FUSE_CAP_CACHE_SYMLINKS);
    want(FUSE_CAP_POSIX_ACL);
    // What the kernel knows is true until we say otherwise; without this it drops pages whenever mtime moves.
    want(FUSE_CAP_EXPLICIT_INVAL_DATA);
    refuse(FUSE_CAP_AUTO_INVAL_DATA);
    refuse(FUSE_CAP_WRITEBACK_CACHE);  // the kernel would trust its own size and times more than ours
    refuse(FUSE_CAP_SPLICE_READ);
    refuse(FUSE_CAP_SPLICE_WRITE);
    refuse(FUSE_CAP_SPLICE_MOVE);
    if (filesystem.options().without_opens) do_without_opens(connection);
    connection->max_write = largest_transfer;
    connection->max_background = 128;
    connection->congestion_threshold = 96;
    connection->time_gran = 1;
    filesystem.notifier()->negotiated(connection->proto_minor);
}

fuse_lowlevel_ops handlers() {
    fuse_lowlevel_ops all{};
    all.init = init;
    add_attribute_requests(all);
    add_data_requests(all);
    add_directory_requests(all);
    add_file_requests(all);
    add_lock_requests(all);
    add_namespace_requests(all);
    add_xattr_requests(all);
    return all;
}

// fuse_args owns copies of what is added.
struct Arguments {
    fuse_args raw = FUSE_ARGS_INIT(0, nullptr);
    Arguments() = default;
    Arguments(const Arguments&) = delete;
    Arguments& operator=(const Arguments&) = delete;
    ~Arguments() { fuse_opt_free_args(&raw); }
    void option(const std::string& text) {
        fuse_opt_add_arg(&raw, "-o");
        fuse_opt_add_arg(&raw, text.c_str());
    }
};

std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text) {
        if (c == ',' || c == '\\') result.push_back('\\');
        result.push_back(c);
    }
    return result;
}

void do_nothing(int) {}

}  // namespace

FuseSession::FuseSession(fuse_session* session, const FuseMountOptions& options)
    : session_(session),
      mountpoint_(options.mountpoint),
      thread_count_(options.threads != 0 ? options.threads
                                         : std::clamp(std::thread::hardware_concurrency() / 2, 1U, 8U)),
      may_stay_awake_(!options.powersave && thread_count_ == 1 && std::thread::hardware_concurrency() > 1) {}

base::Result<std::unique_ptr<FuseSession>> FuseSession::mount(Filesystem& filesystem, const FuseMountOptions& options) {
    Arguments arguments;
    fuse_opt_add_arg(&arguments.raw, "mount.cfs");
    arguments.option("default_permissions,allow_other,subtype=cfs,fsname=" + escaped(options.source));
    if (options.read_only) arguments.option("ro");
    for (const auto& option : options.kernel) arguments.option(option);

    static const auto all = handlers();
    auto* raw = fuse_session_new(&arguments.raw, &all, sizeof all, &filesystem);
    if (raw == nullptr) return base::failure(std::errc::invalid_argument, "FUSE does not know one of the options");
    std::unique_ptr<FuseSession> session(new FuseSession(raw, options));
    filesystem.set_notifier(session.get());
    if (fuse_session_mount(raw, options.mountpoint.c_str()) != 0) {
        session->mounted_ = false;
        filesystem.set_notifier(nullptr);
        return base::failure(std::errc::io_error, "mounting on " + options.mountpoint + " failed (is FUSE available?)");
    }
    session->connection_ = fuse_connection_at(options.mountpoint);
    return session;
}

FuseSession::~FuseSession() {
    abort();
    fuse_session_destroy(session_);
}

void FuseSession::serve(std::function<void()> ended) {
    ended_ = std::move(ended);
    struct sigaction wake {};
    wake.sa_handler = do_nothing;  // no SA_RESTART: it ends the read that a thread waits in
    ::sigaction(wake_signal, &wake, nullptr);
    running_ = thread_count_;
    for (unsigned i = 0; i < thread_count_; ++i) threads_.emplace_back([this] { receive(); });
}

void FuseSession::receive() {
    fuse_buf buffer{};
    ReceiverPlacement placement(may_stay_awake_);
    while (!fuse_session_exited(session_) && !aborting_) {
        placement.wait(fuse_session_fd(session_));
        const int got = fuse_session_receive_buf(session_, &buffer);
        if (got == -EINTR || got == -EAGAIN) continue;
        if (got <= 0) break;
        base::note_arrival();
        placement.received(buffer.mem);
        fuse_session_process_buf(session_, &buffer);
    }
    std::free(buffer.mem);
    --running_;
    if (!told_ended_.exchange(true) && ended_) ended_();
}

void FuseSession::unmount() {
    if (!mounted_.exchange(false)) return;
    if (::umount2(mountpoint_.c_str(), MNT_DETACH) != 0 && errno != EINVAL) {
        base::log_warning("{}: {}", mountpoint_, base::errno_failure(errno, "unmounting").error().message());
    }
}

// A signal that comes just before the read is lost, hence the repetition.
void FuseSession::abort() {
    unmount();
    aborting_ = true;
    fuse_session_exit(session_);
    while (running_ > 0) {
        for (auto& thread : threads_) pthread_kill(thread.native_handle(), wake_signal);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    end_connection();
}

// What the kernel still has queued is answered by nobody any more, and who tells it to forget pages may wait for that.
// While the kernel has the connection, its number is ours.
void FuseSession::end_connection() const {
    pollfd kernel{fuse_session_fd(session_), 0, 0};
    const bool gone = ::poll(&kernel, 1, 0) > 0 && (kernel.revents & POLLERR) != 0;
    if (gone || !connection_) return;
    if (const auto ended = abort_fuse_connection(*connection_); !ended) {
        base::log_warning("{}: what still uses it may not end: {}", mountpoint_, ended.error().message());
    }
}

bool FuseSession::invalidate_inode(std::uint64_t node_id, std::uint64_t offset, std::uint64_t length) {
    const int outcome =
        fuse_lowlevel_notify_inval_inode(session_, node_id, static_cast<off_t>(offset), static_cast<off_t>(length));
    return outcome != -ENOENT;
}

bool FuseSession::send_epoch() const {
    OutHeader header{sizeof header, notify_raise_epoch, 0};
    const iovec part{&header, sizeof header};
    return ::writev(fuse_session_fd(session_), &part, 1) == static_cast<ssize_t>(sizeof header);
}

void FuseSession::negotiated(unsigned protocol_minor) { has_epoch_ = protocol_minor >= protocol_with_epoch; }

void FuseSession::raise_epoch() {
    if (has_epoch_) send_epoch();
}

}  // namespace clusterfs
