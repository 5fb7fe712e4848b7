#include "clusterfs/driver/file_device.hh"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace clusterfs {
namespace {

constexpr int thread_count = 4;

base::Result<std::uint64_t> size_of(int file, const std::string& path) {
    struct stat status {};
    if (::fstat(file, &status) != 0) return base::errno_failure(errno, path);
    if (S_ISREG(status.st_mode)) return static_cast<std::uint64_t>(status.st_size);
    std::uint64_t size = 0;
    if (!S_ISBLK(status.st_mode)) return base::failure(std::errc::not_supported, path + " is no file and no device");
    if (::ioctl(file, BLKGETSIZE64, &size) != 0) return base::errno_failure(errno, path);
    return size;
}

}  // namespace

base::Result<std::unique_ptr<FileDevice>> FileDevice::open(const std::string& path, bool read_only) {
    base::FileDescriptor file(::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
    if (!file.is_open()) return base::errno_failure(errno, path);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        return base::failure(std::errc::device_or_resource_busy, path + " is mounted or checked by another process");
    }
    BASE_ASSIGN(const auto size, size_of(file.get(), path));
    return std::unique_ptr<FileDevice>(new FileDevice(std::move(file), size));
}

FileDevice::FileDevice(base::FileDescriptor file, std::uint64_t size) : file_(std::move(file)), size_(size) {
    for (int i = 0; i < thread_count; ++i) threads_.emplace_back([this] { work(); });
}

FileDevice::~FileDevice() {
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    more_.notify_all();
    for (auto& thread : threads_) thread.join();
}

void FileDevice::read(std::uint64_t offset, base::MutableByteView into, Completion done) {
    enqueue({[this, offset, into] { return read_all(offset, into); }, std::move(done)});
}

void FileDevice::write(std::uint64_t offset, base::ByteView from, base::Durability durability, Completion done) {
    enqueue({[this, offset, from, durability]() -> base::Result<void> {
                 BASE_TRY(write_all(offset, from));
                 if (durability == base::Durability::stable) return synchronize();
                 return {};
             },
             std::move(done)});
}

void FileDevice::flush(Completion done) {
    enqueue({[this] { return synchronize(); }, std::move(done)});
}

void FileDevice::discard(std::uint64_t offset, std::uint64_t length, Completion done) {
    enqueue({[this, offset, length]() -> base::Result<void> {
                 const int flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
                 if (::fallocate(file_.get(), flags, static_cast<off_t>(offset), static_cast<off_t>(length)) != 0) {
                     return base::errno_failure(errno, "discard");
                 }
                 return {};
             },
             std::move(done)});
}

void FileDevice::enqueue(Job job) {
    {
        const std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
    }
    more_.notify_one();
}

void FileDevice::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        more_.wait(lock, [this] { return ended_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job.done(job.work());
        job = {};
        lock.lock();
    }
}

base::Result<void> FileDevice::read_all(std::uint64_t offset, base::MutableByteView into) const {
    if (offset + into.size() > size_) return base::failure(std::errc::invalid_argument, "read past the device's end");
    while (!into.empty()) {
        const auto got = ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return base::errno_failure(errno, "reading the device");
        if (got == 0) return base::failure(std::errc::io_error, "the device ends early");
        into = into.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
    return {};
}

base::Result<void> FileDevice::write_all(std::uint64_t offset, base::ByteView from) const {
    if (offset + from.size() > size_) return base::failure(std::errc::invalid_argument, "write past the device's end");
    while (!from.empty()) {
        const auto put = ::pwrite(file_.get(), from.data(), from.size(), static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return base::errno_failure(errno, "writing the device");
        from = from.subspan(static_cast<std::size_t>(put));
        offset += static_cast<std::uint64_t>(put);
    }
    return {};
}

base::Result<void> FileDevice::synchronize() const {
    if (::fdatasync(file_.get()) != 0) return base::errno_failure(errno, "flushing the device");
    return {};
}

}  // namespace clusterfs
