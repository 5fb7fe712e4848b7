#include "tools/fskit/waiting_device.hh"

#include <algorithm>
#include <future>

namespace fskit {
namespace {

template <typename Start>
base::Result<void> wait_for(Start start) {
    std::promise<base::Result<void>> promise;
    auto answer = promise.get_future();
    start([&promise](base::Result<void> outcome) { promise.set_value(std::move(outcome)); });
    return answer.get();
}

}  // namespace

// The device may want an alignment that blocks in memory do not have.
base::Result<void> WaitingDevice::read(clusterfs::BlockNumber first, std::span<clusterfs::Block> into) {
    base::AlignedBuffer buffer(into.size_bytes());
    BASE_TRY(
        wait_for([&](auto done) { device_.read(first * clusterfs::block_size, buffer.bytes(), std::move(done)); }));
    base::copy_bytes(buffer.bytes(), std::as_writable_bytes(into));
    return {};
}

base::Result<void> WaitingDevice::write(clusterfs::BlockNumber first, std::span<const clusterfs::Block> from) {
    base::AlignedBuffer buffer(from.size_bytes());
    base::copy_bytes(std::as_bytes(from), buffer.bytes());
    return wait_for([&](auto done) {
        device_.write(first * clusterfs::block_size, buffer.bytes(), base::Durability::cached, std::move(done));
    });
}

base::Result<void> WaitingDevice::flush() {
    return wait_for([&](auto done) { device_.flush(std::move(done)); });
}

}  // namespace fskit
