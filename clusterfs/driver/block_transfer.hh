// Several device requests of one file operation as one: done when all are, with the first error.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "base/block_device.hh"

namespace clusterfs {

// Start requests, then call finish_starting() once; `done` runs after that, on the thread of the request that ended
// last (or inside finish_starting()).
class BlockTransfer : public std::enable_shared_from_this<BlockTransfer> {
  public:
    using Done = std::function<void(base::Result<void>)>;
    static std::shared_ptr<BlockTransfer> create(base::BlockDevice& device, Done done) {
        return std::shared_ptr<BlockTransfer>(new BlockTransfer(device, std::move(done)));
    }

    void read(std::uint64_t offset, base::MutableByteView into) { device_.read(offset, into, one_more()); }
    void write(std::uint64_t offset, base::ByteView from, base::Durability durability = base::Durability::cached) {
        device_.write(offset, from, durability, one_more());
    }
    void finish_starting() { ended({}); }

  private:
    BlockTransfer(base::BlockDevice& device, Done done) : device_(device), done_(std::move(done)) {}

    base::BlockDevice::Completion one_more() {
        const std::lock_guard lock(mutex_);
        ++running_;
        return [self = shared_from_this()](base::Result<void> outcome) { self->ended(std::move(outcome)); };
    }
    void ended(base::Result<void> outcome) {
        {
            const std::lock_guard lock(mutex_);
            if (!outcome && outcome_) outcome_ = std::move(outcome);
            if (--running_ > 0) return;
        }
        auto done = std::move(done_);
        done(std::move(outcome_));
    }

    base::BlockDevice& device_;
    Done done_;
    std::mutex mutex_;
    std::size_t running_ = 1;  // the starter itself
    base::Result<void> outcome_;
};

}  // namespace clusterfs
