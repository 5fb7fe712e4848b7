#include "blockrep/driver/disk.hh"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/aligned_buffer.hh"
#include "base/ensure.hh"

namespace blockrep {
namespace {

constexpr int depth = 256;                              // requests in the kernel at once
constexpr std::uint64_t written_as_zeros = 128 * 1024;  // shorter ranges of zeros are simply written
constexpr std::uint64_t step_length = 1 << 20;
constexpr std::uint32_t largest_sector = 4096;

base::ByteView zeros() {
    static const auto memory = [] {
        base::AlignedBuffer buffer(step_length);
        std::ranges::fill(buffer.bytes(), std::byte{0});
        return buffer;
    }();
    return memory.bytes();
}

base::Result<void> outcome_of(std::int64_t result, std::uint64_t expected, const std::string& path) {
    if (result < 0) return base::errno_failure(static_cast<int>(-result), path);
    if (static_cast<std::uint64_t>(result) == expected) return {};
    return base::failure(std::errc::io_error, path + ": only " + std::to_string(result) + " of " +
                                                  std::to_string(expected) + " bytes were transferred");
}

// The smallest unit that O_DIRECT takes. What is below a file's filesystem may have sectors of any size.
base::Result<std::uint32_t> sector_size_of(int descriptor, const std::string& path) {
    struct stat about {};
    if (::fstat(descriptor, &about) != 0) return base::errno_failure(errno, path);
    if (S_ISREG(about.st_mode)) return largest_sector;
    int size = 0;
    if (::ioctl(descriptor, BLKSSZGET, &size) != 0) return base::errno_failure(errno, path);
    return static_cast<std::uint32_t>(size);
}

// A mount of one node alone holds the same lock. udev takes it, too, for a moment: to look at a disk that was closed.
bool lock_soon(int descriptor) {
    constexpr int attempts = 15;
    for (int i = 0; i < attempts; ++i) {
        if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return true;
        ::usleep(20'000);
    }
    return false;
}

}  // namespace

base::Result<base::FileDescriptor> open_exclusively(const std::string& path) {
    struct stat about {};
    if (::stat(path.c_str(), &about) != 0) return base::errno_failure(errno, path);
    if (!S_ISBLK(about.st_mode) && !S_ISREG(about.st_mode)) {
        return base::failure(std::errc::invalid_argument, path + " is neither a block device nor a file");
    }
    const int exclusive = S_ISBLK(about.st_mode) ? O_EXCL : 0;
    base::FileDescriptor file(::open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC | exclusive));
    if (!file.is_open() && errno == EINVAL) {
        return base::failure(std::errc::invalid_argument, path + ": its filesystem has no O_DIRECT");
    }
    if (!file.is_open()) {
        return base::errno_failure(errno, errno == EBUSY ? path + " is in use (mounted?)" : path);
    }
    if (!lock_soon(file.get())) {
        return base::failure(std::errc::device_or_resource_busy, path + " is in use by another process");
    }
    return file;
}

base::Result<std::uint64_t> size_of_disk(int descriptor, const std::string& path) {
    struct stat about {};
    if (::fstat(descriptor, &about) != 0) return base::errno_failure(errno, path);
    if (S_ISREG(about.st_mode)) return static_cast<std::uint64_t>(about.st_size);
    std::uint64_t size = 0;
    if (::ioctl(descriptor, BLKGETSIZE64, &size) != 0) return base::errno_failure(errno, path);
    return size;
}

base::Result<std::unique_ptr<Disk>> Disk::open(base::EventLoop& loop, const std::string& path) {
    BASE_ASSIGN(auto file, open_exclusively(path));
    std::unique_ptr<Disk> disk(new Disk(loop, std::move(file), path));
    BASE_TRY(disk->prepare());
    return disk;
}

Disk::Disk(base::EventLoop& loop, base::FileDescriptor file, std::string path)
    : loop_(loop), file_(std::move(file)), path_(std::move(path)), worker_(std::make_unique<Worker>(loop)) {}

base::Result<void> Disk::prepare() {
    BASE_ASSIGN(size_, size_of_disk(file_.get(), path_));
    BASE_ASSIGN(const auto sector, sector_size_of(file_.get(), path_));
    if (sector > largest_sector) {
        return base::failure(std::errc::not_supported, path_ + " has sectors larger than 4096 bytes");
    }
    partial_ = std::make_unique<PartialSectors>(*this, sector);
    const int failed = ::io_setup(depth, &context_);
    if (failed != 0) return base::errno_failure(-failed, "io_setup (see /proc/sys/fs/aio-max-nr)");
    completions_ = base::FileDescriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!completions_.is_open()) return base::errno_failure(errno, "eventfd");
    watch_ = loop_.watch_readable(completions_.get(), [this] { collect(); });
    return {};
}

Disk::~Disk() {
    watch_.reset();
    worker_.reset();
    if (context_ == nullptr) return;
    std::array<io_event, depth> events{};
    while (in_kernel_ > 0) {
        const int count = ::io_getevents(context_, 1, depth, events.data(), nullptr);
        if (count == -EINTR) continue;
        base::ensure(count > 0, "requests in the kernel are answered");
        for (int i = 0; i < count; ++i) delete static_cast<Request*>(events[static_cast<std::size_t>(i)].data);
        in_kernel_ -= static_cast<std::size_t>(count);
    }
    ::io_destroy(context_);
}

std::unique_ptr<Disk::Request> Disk::take_request() {
    if (spare_.empty()) return std::make_unique<Request>();
    auto request = std::move(spare_.back());
    spare_.pop_back();
    return request;
}

void Disk::read(const Range& range, const ReadBuffer& into, Done done) {
    if (partial_->concerns(range, into.data)) return partial_->read(range, into, std::move(done));
    auto request = take_request();
    ::io_prep_pread(&request->control, file_.get(), into.data, range.length, static_cast<long long>(range.offset));
    request->length = range.length;
    request->owner = into.owner;
    request->done = std::move(done);
    enqueue(std::move(request));
}

void Disk::write(const Range& range, const Payload& payload, bool stable, Done done) {
    if (partial_->concerns(range, payload.data)) return partial_->write(range, payload, stable, std::move(done));
    const bool as_zeros = payload.is_zeros();
    if (as_zeros && range.length > written_as_zeros) return zero_by_worker(range, stable, std::move(done));
    auto request = take_request();
    auto* data = const_cast<std::byte*>(as_zeros ? zeros().data() : payload.data);
    ::io_prep_pwrite(&request->control, file_.get(), data, range.length, static_cast<long long>(range.offset));
    if (stable) request->control.aio_rw_flags = RWF_DSYNC;
    request->length = range.length;
    request->owner = payload.owner;
    request->done = std::move(done);
    enqueue(std::move(request));
}

void Disk::enqueue(std::unique_ptr<Request> request) {
    ::io_set_eventfd(&request->control, completions_.get());
    request->control.data = request.get();
    ++unanswered_;
    waiting_.push_back(std::move(request));
    if (!submit_posted_) submit_later();
}

void Disk::submit_later() {
    submit_posted_ = true;
    loop_.post([this, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.lock()) return;
        submit_posted_ = false;
        submit();
    });
}

void Disk::submit() {
    while (!waiting_.empty() && in_kernel_ < depth) {
        std::array<iocb*, depth> batch{};
        const auto count = std::min<std::size_t>(waiting_.size(), depth - in_kernel_);
        for (std::size_t i = 0; i < count; ++i) batch[i] = &waiting_[i]->control;
        const int taken = ::io_submit(context_, static_cast<long>(count), batch.data());
        if (taken == -EAGAIN || taken == -EINTR) {
            // No room in the kernel: tried again when something ends, or at once when nothing of ours is in there.
            if (in_kernel_ == 0 && !submit_posted_) submit_later();
            return;
        }
        if (taken <= 0) {
            refuse_first(-taken);
            continue;
        }
        for (int i = 0; i < taken; ++i) {
            waiting_.front().release();  // the kernel has it; collect() takes it back
            waiting_.pop_front();
        }
        in_kernel_ += static_cast<std::size_t>(taken);
    }
}

// The kernel does not take the request at the head: answered as if it had failed.
void Disk::refuse_first(int errno_value) {
    const std::shared_ptr<Request> request(std::move(waiting_.front()));
    waiting_.pop_front();
    loop_.post([this, alive = std::weak_ptr<int>(alive_), request, errno_value] {
        if (!alive.lock()) return;
        --unanswered_;
        request->done(base::errno_failure(errno_value, path_));
    });
}

void Disk::collect() {
    std::uint64_t count_of_events = 0;
    if (::read(completions_.get(), &count_of_events, sizeof count_of_events) < 0 && errno != EAGAIN) return;
    std::array<io_event, depth> events{};
    timespec at_once{};
    const int count = ::io_getevents(context_, 0, depth, events.data(), &at_once);
    if (count <= 0) return;
    in_kernel_ -= static_cast<std::size_t>(count);
    const std::weak_ptr<int> alive = alive_;
    for (int i = 0; i < count && alive.lock(); ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        finish(std::unique_ptr<Request>(static_cast<Request*>(event.data)), static_cast<std::int64_t>(event.res));
    }
    if (alive.lock()) submit();
}

void Disk::finish(std::unique_ptr<Request> request, std::int64_t result) {
    const auto done = std::move(request->done);
    const auto length = request->length;
    request->owner.reset();
    request->done = nullptr;
    if (spare_.size() < depth) spare_.push_back(std::move(request));
    --unanswered_;
    done(outcome_of(result, length, path_));
}

// ---- flushes: one at a time; what arrives meanwhile is served by the next one together
void Disk::flush(Done done) {
    flush_waiting_.push_back(std::move(done));
    ++unanswered_;
    if (!flushing_) start_flush();
}

void Disk::start_flush() {
    flushing_ = true;
    flush_running_ = std::move(flush_waiting_);
    flush_waiting_.clear();
    if (!kernel_flushes_) return flush_by_worker();
    auto request = take_request();
    ::io_prep_fdsync(&request->control, file_.get());
    request->length = 0;
    request->done = [this](base::Result<void> outcome) {
        if (!outcome && base::to_errno(outcome.error()) == EINVAL) {  // a filesystem without asynchronous fsync
            kernel_flushes_ = false;
            return flush_by_worker();
        }
        flushed(outcome);
    };
    enqueue(std::move(request));
}

void Disk::flush_by_worker() {
    auto outcome = std::make_shared<base::Result<void>>();
    worker_->run(
        [this, outcome] {
            if (::fdatasync(file_.get()) != 0) *outcome = base::errno_failure(errno, path_);
        },
        [this, outcome] { flushed(*outcome); });
}

void Disk::flushed(const base::Result<void>& outcome) {
    const auto answered = std::move(flush_running_);
    flush_running_.clear();
    flushing_ = false;
    if (!flush_waiting_.empty()) start_flush();
    const std::weak_ptr<int> alive = alive_;
    for (const auto& done : answered) {
        if (!alive.lock()) return;
        --unanswered_;
        done(outcome);
    }
}

// ---- long ranges of zeros, and metadata
void Disk::zero_by_worker(const Range& range, bool stable, Done done) {
    ++unanswered_;
    auto outcome = std::make_shared<base::Result<void>>();
    worker_->run([this, range, stable, outcome] { *outcome = zero_now(range, stable); },
                 [this, outcome, done = std::move(done)] {
                     --unanswered_;
                     done(*outcome);
                 });
}

base::Result<void> Disk::zero_now(const Range& range, bool stable) {
    const auto offset = static_cast<off_t>(range.offset);
    const auto length = static_cast<off_t>(range.length);
    if (can_punch_) {
        can_punch_ = ::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) == 0;
        if (!can_punch_ && errno != EOPNOTSUPP) return base::errno_failure(errno, path_);
    }
    if (!can_punch_ && ::fallocate(file_.get(), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length) != 0) {
        for (std::uint64_t done = 0; done < range.length; done += step_length) {
            const auto step = std::min(step_length, range.length - done);
            const auto written = ::pwrite(file_.get(), zeros().data(), step, offset + static_cast<off_t>(done));
            BASE_TRY(outcome_of(written < 0 ? -errno : written, step, path_));
        }
    }
    if (stable && ::fdatasync(file_.get()) != 0) return base::errno_failure(errno, path_);
    return {};
}

void Disk::read_all(const Range& range, std::function<void(base::Result<base::Bytes>)> done) {
    ++unanswered_;
    auto outcome = std::make_shared<base::Result<base::Bytes>>();
    const auto work = [this, range]() -> base::Result<base::Bytes> {
        base::Bytes all;
        all.reserve(range.length);
        base::AlignedBuffer buffer(step_length);
        for (std::uint64_t at = 0; at < range.length; at += step_length) {
            const auto step = std::min(step_length, range.length - at);
            const auto got = ::pread(file_.get(), buffer.bytes().data(), step, static_cast<off_t>(range.offset + at));
            BASE_TRY(outcome_of(got < 0 ? -errno : got, step, path_));
            all.insert(all.end(), buffer.bytes().begin(), buffer.bytes().begin() + static_cast<std::ptrdiff_t>(step));
        }
        return all;
    };
    worker_->run([work, outcome] { *outcome = work(); },
                 [this, outcome, done = std::move(done)] {
                     --unanswered_;
                     done(std::move(*outcome));
                 });
}

}  // namespace blockrep
