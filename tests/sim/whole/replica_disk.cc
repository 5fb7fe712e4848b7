#include "tests/sim/whole/replica_disk.hh"

#include <cstring>

#include "base/ensure.hh"

namespace sim_whole {

using namespace blockrep;

namespace {

constexpr std::uint64_t block = clusterfs::block_size;

// The disk whose data area has that many blocks.
std::uint64_t disk_size_for(std::uint64_t data_blocks) {
    auto size = data_blocks * block;
    while (geometry_of(size)->data_size < data_blocks * block) size += block;
    return size;
}

}  // namespace

ReplicaDisk::ReplicaDisk(std::uint64_t data_blocks, const base::Uuid& id)
    : size_(disk_size_for(data_blocks)), data_(data_blocks) {
    metadata_ = format_metadata(*geometry_of(size_), size_, id);
}

Payload ReplicaDisk::read(const Range& range) const {
    base::ensure(range.offset % block == 0 && range.length % block == 0, "whole blocks");
    const auto bytes = std::make_shared<std::vector<std::byte>>(range.length);
    for (std::uint64_t at = 0; at < range.length; at += block) {
        const auto& content = data_.current((range.offset + at) / block);
        std::memcpy(bytes->data() + at, content.bytes.data(), block);
    }
    return {bytes, bytes->data(), bytes->size()};
}

sim::Device::Request ReplicaDisk::begin_write(const WriteLocal& write) {
    base::ensure(write.range.offset % block == 0 && write.range.length % block == 0, "whole blocks");
    std::vector<clusterfs::BlockHandle> blocks;
    for (std::uint64_t at = 0; at < write.range.length; at += block) {
        const auto copy = std::make_shared<clusterfs::Block>();
        if (!write.payload.is_zeros()) std::memcpy(copy->bytes.data(), write.payload.data + at, block);
        blocks.push_back(copy);
    }
    return data_.begin_write(0, write.range.offset / block, std::move(blocks), write.stable);
}

std::uint64_t ReplicaDisk::begin_metadata(const WriteMetadata& write) {
    metadata_writes_[next_] = write;
    return next_++;
}

void ReplicaDisk::end_metadata(std::uint64_t request) {
    const auto found = metadata_writes_.find(request);
    if (found == metadata_writes_.end()) return;
    std::memcpy(metadata_.data() + found->second.offset, found->second.bytes.data(), found->second.bytes.size());
    metadata_writes_.erase(found);
}

void ReplicaDisk::fail_metadata(std::uint64_t request, sim::Random& random) {
    const auto node = metadata_writes_.extract(request);
    if (!node.empty()) write_some(node.mapped(), random);
}

void ReplicaDisk::write_some(const WriteMetadata& write, sim::Random& random) {
    for (std::uint64_t at = 0; at < write.bytes.size(); at += sector) {
        if (random.percent(50)) std::memcpy(metadata_.data() + write.offset + at, write.bytes.data() + at, sector);
    }
}

void ReplicaDisk::lose_power(sim::Random& random) {
    for (const auto& [number, write] : metadata_writes_) write_some(write, random);
    metadata_writes_.clear();
    data_.node_crashed(0, random);
    data_.power_lost(random);
}

}  // namespace sim_whole
