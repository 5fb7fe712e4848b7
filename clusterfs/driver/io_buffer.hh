// Buffers for file data: aligned for any device, recycled because fresh megabytes cost page faults.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "base/bytes.hh"

namespace clusterfs {

class IoBufferPool;

// Owns one buffer; gives it back to its pool when destroyed.
class IoBuffer {
  public:
    IoBuffer() = default;
    IoBuffer(IoBuffer&& other) noexcept;
    IoBuffer& operator=(IoBuffer&& other) noexcept;
    ~IoBuffer();

    std::byte* data() const { return data_; }
    std::size_t size() const { return size_; }
    base::MutableByteView span(std::size_t offset, std::size_t length) const { return {data_ + offset, length}; }
    explicit operator bool() const { return data_ != nullptr; }

  private:
    friend class IoBufferPool;
    IoBuffer(IoBufferPool* pool, std::byte* data, std::size_t size, std::size_t capacity)
        : pool_(pool), data_(data), size_(size), capacity_(capacity) {}

    IoBufferPool* pool_ = nullptr;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

class IoBufferPool {
  public:
    IoBufferPool() = default;
    IoBufferPool(const IoBufferPool&) = delete;
    IoBufferPool& operator=(const IoBufferPool&) = delete;
    ~IoBufferPool();

    // Contents are undefined. Any thread.
    IoBuffer take(std::size_t size);

  private:
    friend class IoBuffer;
    void give_back(std::byte* data, std::size_t capacity);

    std::mutex mutex_;
    std::vector<std::vector<std::byte*>> free_ = std::vector<std::vector<std::byte*>>(64);  // by log2 of capacity
};

}  // namespace clusterfs
