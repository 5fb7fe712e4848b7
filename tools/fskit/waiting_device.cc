#include "tools/fskit/waiting_device.hh"

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

base::Result<void> WaitingDevice::read(clusterfs::BlockNumber first, std::span<clusterfs::Block> into) {
    return wait_for(
        [&](auto done) { device_.read(first * clusterfs::block_size, std::as_writable_bytes(into), std::move(done)); });
}

base::Result<void> WaitingDevice::write(clusterfs::BlockNumber first, std::span<const clusterfs::Block> from) {
    return wait_for([&](auto done) {
        device_.write(first * clusterfs::block_size, std::as_bytes(from), base::Durability::cached, std::move(done));
    });
}

base::Result<void> WaitingDevice::flush() {
    return wait_for([&](auto done) { device_.flush(std::move(done)); });
}

}  // namespace fskit
