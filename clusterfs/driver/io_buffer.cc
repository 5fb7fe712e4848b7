#include "clusterfs/driver/io_buffer.hh"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/ensure.hh"
#include "clusterfs/core/block.hh"

namespace clusterfs {
namespace {

constexpr std::size_t kept_bytes_per_size = 32 * 1024 * 1024;

}  // namespace

KeptBuffers::~KeptBuffers() {
    for (auto& buffers : free_) {
        for (auto* buffer : buffers) std::free(buffer);
    }
}

std::byte* KeptBuffers::take(std::size_t capacity) {
    const std::lock_guard lock(mutex_);
    auto& buffers = free_[static_cast<std::size_t>(std::countr_zero(capacity))];
    if (buffers.empty()) return nullptr;
    auto* data = buffers.back();
    buffers.pop_back();
    return data;
}

void KeptBuffers::give_back(std::byte* data, std::size_t capacity) {
    {
        const std::lock_guard lock(mutex_);
        auto& buffers = free_[static_cast<std::size_t>(std::countr_zero(capacity))];
        if (buffers.size() * capacity < kept_bytes_per_size) {
            buffers.push_back(data);
            return;
        }
    }
    std::free(data);
}

IoBuffer::IoBuffer(IoBuffer&& other) noexcept
    : kept_(std::move(other.kept_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(other.size_),
      capacity_(other.capacity_) {}

IoBuffer& IoBuffer::operator=(IoBuffer&& other) noexcept {
    if (this == &other) return *this;
    if (data_ != nullptr) kept_->give_back(data_, capacity_);
    kept_ = std::move(other.kept_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = other.size_;
    capacity_ = other.capacity_;
    return *this;
}

IoBuffer::~IoBuffer() {
    if (data_ != nullptr) kept_->give_back(data_, capacity_);
}

IoBuffer IoBufferPool::take(std::size_t size) {
    const std::size_t capacity = std::bit_ceil(std::max(size, block_size));
    auto* data = kept_->take(capacity);
    if (data == nullptr) data = static_cast<std::byte*>(std::aligned_alloc(block_size, capacity));
    base::ensure(data != nullptr, "no memory for file data");
    return {kept_, data, size, capacity};
}

std::shared_ptr<const IoBuffer> IoBufferPool::copy(base::ByteView bytes) {
    auto buffer = std::make_shared<IoBuffer>(take(bytes.size()));
    base::copy_bytes(bytes, buffer->span(0, bytes.size()));
    const auto rest = (block_size - bytes.size() % block_size) % block_size;
    std::memset(buffer->data() + bytes.size(), 0, rest);
    return buffer;
}

}  // namespace clusterfs
