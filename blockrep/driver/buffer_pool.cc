#include "blockrep/driver/buffer_pool.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/ensure.hh"

namespace blockrep {
namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t to_pages(std::uint64_t length) { return (length + page - 1) / page * page; }

}  // namespace

base::Result<std::shared_ptr<SharedMemory>> SharedMemory::create(std::uint64_t length) {
    std::shared_ptr<SharedMemory> memory(new SharedMemory);
    memory->file_ = base::FileDescriptor(::memfd_create("blockrep-pool", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory->file_.is_open()) return base::errno_failure(errno, "memfd_create");
    if (::ftruncate(memory->file_.get(), static_cast<off_t>(length)) != 0) return base::errno_failure(errno, "memfd");
    if (::fcntl(memory->file_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        return base::errno_failure(errno, "sealing shared memory");
    }
    BASE_TRY(memory->map_now(length));
    return memory;
}

base::Result<std::shared_ptr<SharedMemory>> SharedMemory::map(base::FileDescriptor file, std::uint64_t length) {
    const int seals = ::fcntl(file.get(), F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
        return base::failure(std::errc::invalid_argument, "the buffer pool is not sealed against shrinking");
    }
    struct stat about {};
    if (::fstat(file.get(), &about) != 0) return base::errno_failure(errno, "buffer pool");
    if (length == 0 || about.st_size < 0 || static_cast<std::uint64_t>(about.st_size) != length) {
        return base::failure(std::errc::invalid_argument, "the buffer pool has another length than was said");
    }
    std::shared_ptr<SharedMemory> memory(new SharedMemory);
    memory->file_ = std::move(file);
    BASE_TRY(memory->map_now(length));
    return memory;
}

base::Result<void> SharedMemory::map_now(std::uint64_t length) {
    void* mapped = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    if (mapped == MAP_FAILED) return base::errno_failure(errno, "mapping the buffer pool");
    bytes_ = {static_cast<std::byte*>(mapped), length};
    return {};
}

SharedMemory::~SharedMemory() {
    if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

BufferPool::BufferPool(std::shared_ptr<SharedMemory> memory) : memory_(std::move(memory)) {
    free_[0] = memory_->bytes().size() / page * page;
}

std::optional<std::uint64_t> BufferPool::take(std::uint64_t length) {
    const auto wanted = to_pages(length);
    const std::scoped_lock lock(mutex_);
    for (auto i = free_.begin(); i != free_.end(); ++i) {
        if (i->second < wanted) continue;
        const auto offset = i->first;
        const auto rest = i->second - wanted;
        free_.erase(i);
        if (rest != 0) free_[offset + wanted] = rest;
        return offset;
    }
    return std::nullopt;
}

void BufferPool::give_back(std::uint64_t offset, std::uint64_t length) {
    auto size = to_pages(length);
    const std::scoped_lock lock(mutex_);
    auto next = free_.lower_bound(offset);
    base::ensure(next == free_.end() || offset + size <= next->first, "a piece of the pool is given back twice");
    if (next != free_.end() && offset + size == next->first) {
        size += next->second;
        next = free_.erase(next);
    }
    if (next != free_.begin()) {
        const auto before = std::prev(next);
        base::ensure(before->first + before->second <= offset, "a piece of the pool is given back twice");
        if (before->first + before->second == offset) {
            before->second += size;
            return;
        }
    }
    free_[offset] = size;
}

std::optional<std::uint64_t> BufferPool::offset_of(base::ByteView memory) const {
    const auto whole = memory_->bytes();
    const auto begin = reinterpret_cast<std::uintptr_t>(whole.data());
    const auto at = reinterpret_cast<std::uintptr_t>(memory.data());
    if (at < begin || at - begin > whole.size() || memory.size() > whole.size() - (at - begin)) return std::nullopt;
    return at - begin;
}

}  // namespace blockrep
