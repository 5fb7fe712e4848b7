// A block device as filesystems and replicas use it: asynchronous, addressed in bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/bytes.hh"
#include "base/error.hh"

namespace base {

inline constexpr std::uint32_t sector_size = 512;

// Whether a write must be on stable media (on all replicas) before it completes.
enum class Durability { cached, stable };

// Offsets and lengths are in bytes, multiples of alignment(). A completion runs exactly once, on a thread of the
// implementation, never from inside the call. Requests that overlap and are in flight together have no order; a
// completed write is seen by every later read on any node. Buffers belong to the caller and must stay valid and
// unchanged until the completion. No implementation answers a failed read with success.
class BlockDevice {
  public:
    using Completion = std::function<void(Result<void>)>;
    virtual ~BlockDevice() = default;

    virtual std::uint64_t size() const = 0;       // bytes
    virtual std::uint32_t alignment() const = 0;  // bytes, a power of two; of offsets, lengths and buffer addresses
    virtual void read(std::uint64_t offset, MutableByteView into, Completion done) = 0;
    virtual void write(std::uint64_t offset, ByteView from, Durability durability, Completion done) = 0;
    // Everything whose write completed before this call is stable when it completes.
    virtual void flush(Completion done) = 0;
    // The range reads as zeros afterwards; space may be given back.
    virtual void discard(std::uint64_t offset, std::uint64_t length, Completion done) = 0;
};

}  // namespace base
