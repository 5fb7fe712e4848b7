// getlk, setlk (fcntl and OFD locks), flock.
#include <fcntl.h>
#include <sys/file.h>

#include <memory>
#include <mutex>

#include "clusterfs/driver/request.hh"

namespace clusterfs {
namespace {

AdvisoryMode mode_of(int type) {
    if (type == F_RDLCK) return AdvisoryMode::shared;
    return type == F_WRLCK ? AdvisoryMode::exclusive : AdvisoryMode::unlock;
}

AdvisoryRequest range_request(const OpenFile& file, const fuse_file_info& info, const struct flock& lock) {
    AdvisoryRequest request;
    request.kind = AdvisoryKind::range;
    request.mode = mode_of(lock.l_type);
    request.inode = file.inode.number;
    request.owner.id = info.lock_owner;
    request.pid = static_cast<std::uint32_t>(lock.l_pid);
    request.first = static_cast<std::uint64_t>(lock.l_start);
    request.last = lock.l_len == 0 ? advisory_range_end : request.first + static_cast<std::uint64_t>(lock.l_len) - 1;
    return request;
}

int error_of(AdvisoryOutcome outcome) {
    switch (outcome) {
        case AdvisoryOutcome::granted:
            return 0;
        case AdvisoryOutcome::would_block:
            return EAGAIN;
        case AdvisoryOutcome::deadlock:
            return EDEADLK;
        case AdvisoryOutcome::interrupted:
            return EINTR;
        case AdvisoryOutcome::lost:
            return ENOLCK;
    }
    return EIO;
}

// Joins three things that may come in any order: the number under which the request waits, an interrupt, the answer.
// libfuse runs the interrupt handler with the request locked, so the cancellation, which may answer, is done elsewhere.
class WaitingLock : public std::enable_shared_from_this<WaitingLock> {
  public:
    explicit WaitingLock(Filesystem& filesystem) : filesystem_(filesystem) {}

    void requested(std::uint64_t id) {
        const std::lock_guard lock(mutex_);
        id_ = id;
        if (interrupted_) cancel();
    }
    void interrupted() {
        const std::lock_guard lock(mutex_);
        interrupted_ = true;
        cancel();
    }

  private:
    void cancel() {
        if (id_ == 0) return;
        filesystem_.driver().invalidator().enqueue(
            [self = shared_from_this(), id = id_] { self->filesystem_.advisory().cancel(id); });
    }

    Filesystem& filesystem_;
    std::mutex mutex_;
    std::uint64_t id_ = 0;
    bool interrupted_ = false;
};

// Taking the interrupt handler away waits until it is not running: only then may the answer drop what it uses.
void submit(fuse_req_t request, const AdvisoryRequest& lock) {
    auto& filesystem = filesystem_of(request);
    if (!lock.wait) {
        filesystem.advisory().request(lock, [request](AdvisoryOutcome outcome, const std::optional<AdvisoryLock>&) {
            fuse_reply_err(request, error_of(outcome));
        });
        return;
    }
    auto waiting = std::make_shared<WaitingLock>(filesystem);
    fuse_req_interrupt_func(
        request, [](fuse_req_t, void* data) { static_cast<WaitingLock*>(data)->interrupted(); }, waiting.get());
    const auto id = filesystem.advisory().request(
        lock, [request, waiting](AdvisoryOutcome outcome, const std::optional<AdvisoryLock>&) {
            fuse_req_interrupt_func(request, nullptr, nullptr);
            fuse_reply_err(request, error_of(outcome));
        });
    waiting->requested(id);
}

void setlk(fuse_req_t request, fuse_ino_t, fuse_file_info* info, struct flock* lock, int sleep) {
    auto wanted = range_request(open_file_of(info), *info, *lock);
    wanted.wait = sleep != 0 && wanted.mode != AdvisoryMode::unlock;
    submit(request, wanted);
}

void flock(fuse_req_t request, fuse_ino_t, fuse_file_info* info, int operation) {
    AdvisoryRequest wanted;
    wanted.kind = AdvisoryKind::flock;
    wanted.inode = open_file_of(info).inode.number;
    wanted.owner.id = info->lock_owner;
    wanted.pid = static_cast<std::uint32_t>(fuse_req_ctx(request)->pid);
    switch (operation & ~LOCK_NB) {
        case LOCK_SH:
            wanted.mode = AdvisoryMode::shared;
            break;
        case LOCK_EX:
            wanted.mode = AdvisoryMode::exclusive;
            break;
        default:
            wanted.mode = AdvisoryMode::unlock;
    }
    wanted.wait = (operation & LOCK_NB) == 0 && wanted.mode != AdvisoryMode::unlock;
    submit(request, wanted);
}

void getlk(fuse_req_t request, fuse_ino_t, fuse_file_info* info, struct flock* lock) {
    auto& service = filesystem_of(request).advisory();
    service.test(
        range_request(open_file_of(info), *info, *lock),
        [request, self = service.self_node()](AdvisoryOutcome outcome, const std::optional<AdvisoryLock>& conflict) {
            if (outcome == AdvisoryOutcome::lost || outcome == AdvisoryOutcome::interrupted) {
                fuse_reply_err(request, error_of(outcome));
                return;
            }
            struct flock answer {};
            answer.l_type = F_UNLCK;
            answer.l_whence = SEEK_SET;
            if (conflict) {
                answer.l_type = conflict->mode == AdvisoryMode::shared ? F_RDLCK : F_WRLCK;
                answer.l_start = static_cast<off_t>(conflict->first);
                answer.l_len =
                    conflict->last == advisory_range_end ? 0 : static_cast<off_t>(conflict->last - conflict->first + 1);
                // A process of another node has no number here.
                const bool here = conflict->owner.member.node == self;
                answer.l_pid = here ? static_cast<pid_t>(conflict->pid) : -1;
            }
            fuse_reply_lock(request, &answer);
        });
}

}  // namespace

void add_lock_requests(fuse_lowlevel_ops& handlers) {
    handlers.getlk = getlk;
    handlers.setlk = setlk;
    handlers.flock = flock;
}

}  // namespace clusterfs
