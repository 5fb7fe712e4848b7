// Buffers for file data: aligned for any device, recycled because fresh megabytes cost page faults.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/bytes.hh"

namespace clusterfs {

// What was given back, by size. Lives as long as a buffer does: the last ones are given back by a device that outlives
// the mount.
class KeptBuffers {
  public:
    KeptBuffers() = default;
    KeptBuffers(const KeptBuffers&) = delete;
    KeptBuffers& operator=(const KeptBuffers&) = delete;
    ~KeptBuffers();

    std::byte* take(std::size_t capacity);  // nullptr: there is none
    void give_back(std::byte* data, std::size_t capacity);

  private:
    std::mutex mutex_;
    std::vector<std::vector<std::byte*>> free_ = std::vector<std::vector<std::byte*>>(64);  // by log2 of capacity
};

// Owns one buffer; gives it back when destroyed.
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
    IoBuffer(std::shared_ptr<KeptBuffers> kept, std::byte* data, std::size_t size, std::size_t capacity)
        : kept_(std::move(kept)), data_(data), size_(size), capacity_(capacity) {}

    std::shared_ptr<KeptBuffers> kept_;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

class IoBufferPool {
  public:
    // Any thread, each. Contents are undefined.
    IoBuffer take(std::size_t size);
    // These bytes, and behind them zeros to the end of a block.
    std::shared_ptr<const IoBuffer> copy(base::ByteView bytes);

  private:
    std::shared_ptr<KeptBuffers> kept_ = std::make_shared<KeptBuffers>();
};

}  // namespace clusterfs
