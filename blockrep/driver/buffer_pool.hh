// Memory shared with the daemon: a memfd that cannot shrink, handed out in pieces.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "base/bytes.hh"
#include "base/error.hh"
#include "base/io/file_descriptor.hh"

namespace blockrep {

// A mapped memfd.
class SharedMemory {
  public:
    // Makes one, sealed against any change of its size.
    static base::Result<std::shared_ptr<SharedMemory>> create(std::uint64_t length);
    // Maps one that somebody else made: refused unless it is exactly so long and sealed against shrinking.
    static base::Result<std::shared_ptr<SharedMemory>> map(base::FileDescriptor file, std::uint64_t length);
    ~SharedMemory();
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;

    base::MutableByteView bytes() const { return bytes_; }
    int descriptor() const { return file_.get(); }

  private:
    SharedMemory() = default;
    base::Result<void> map_now(std::uint64_t length);

    base::FileDescriptor file_;
    base::MutableByteView bytes_;
};

// Hands out pieces, in pages, lowest first. Any thread.
class BufferPool {
  public:
    explicit BufferPool(std::shared_ptr<SharedMemory> memory);

    // The offset of a free piece, or nothing when there is none of this length now.
    std::optional<std::uint64_t> take(std::uint64_t length);
    void give_back(std::uint64_t offset, std::uint64_t length);
    // Where a piece of memory lies in the pool, if it does.
    std::optional<std::uint64_t> offset_of(base::ByteView memory) const;
    base::MutableByteView at(std::uint64_t offset, std::uint64_t length) const {
        return memory_->bytes().subspan(offset, length);
    }
    const SharedMemory& memory() const { return *memory_; }
    std::uint64_t length() const { return memory_->bytes().size(); }

  private:
    const std::shared_ptr<SharedMemory> memory_;
    std::mutex mutex_;
    std::map<std::uint64_t, std::uint64_t> free_;  // offset to length
};

}  // namespace blockrep
