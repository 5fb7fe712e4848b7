// Memory that may be handed to O_DIRECT: page-aligned.
#pragma once

#include <cstdlib>
#include <memory>

#include "base/bytes.hh"
#include "base/ensure.hh"

namespace base {

class AlignedBuffer {
  public:
    static constexpr std::size_t alignment = 4096;

    // Not zeroed. A size of 0 holds nothing.
    explicit AlignedBuffer(std::size_t size) : size_(size) {
        if (size == 0) return;
        const auto rounded = (size + alignment - 1) / alignment * alignment;
        memory_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, rounded)));
        ensure(memory_ != nullptr, "out of memory");
    }
    MutableByteView bytes() { return {memory_.get(), size_}; }
    ByteView bytes() const { return {memory_.get(), size_}; }
    std::size_t size() const { return size_; }

  private:
    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };
    std::unique_ptr<std::byte, Free> memory_;
    std::size_t size_ = 0;
};

}  // namespace base
