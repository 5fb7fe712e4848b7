#include "tests/sim/clusterfs/device.hh"

#include <algorithm>
#include <cstring>

namespace sim {

using clusterfs::Block;
using clusterfs::BlockNumber;

Block& Device::at(BlockNumber number) {
    auto& place = content_.at(number);
    if (!place) place = std::make_unique<Block>(below_ != nullptr ? below_->current(number) : Block{});
    return *place;
}

Block Device::current(BlockNumber number) const {
    const auto& place = content_.at(number);
    if (place) return *place;
    return below_ != nullptr ? below_->current(number) : Block{};
}

base::Result<void> Device::read(BlockNumber first, std::span<Block> into) {
    if (first + into.size() > blocks_) return base::failure(std::errc::io_error);
    for (std::size_t i = 0; i < into.size(); ++i) into[i] = current(first + i);
    return {};
}

base::Result<void> Device::write(BlockNumber first, std::span<const Block> from) {
    if (first + from.size() > blocks_) return base::failure(std::errc::io_error);
    for (std::size_t i = 0; i < from.size(); ++i) at(first + i) = from[i];
    return {};
}

void Device::put(BlockNumber number, std::size_t sector, const std::byte* from, bool stable) {
    auto* place = at(number).bytes.data() + sector * sector_size;
    const auto key = number * sectors_per_block + sector;
    if (stable) {
        unflushed_.erase(key);
    } else {
        auto& versions = unflushed_[key];
        if (versions.empty()) {
            Version before;
            std::memcpy(before.bytes.data(), place, sector_size);
            versions.push_back(before);
        }
        Version now;
        now.finished = finished_ + 1;
        std::memcpy(now.bytes.data(), from, sector_size);
        versions.push_back(now);
    }
    std::memcpy(place, from, sector_size);
}

void Device::apply(const UnderWay& write, Random* tear) {
    for (std::size_t i = 0; i < write.blocks.size(); ++i) {
        for (std::size_t sector = 0; sector < sectors_per_block; ++sector) {
            if (tear != nullptr && tear->one_in(2)) continue;
            const auto* from = write.blocks[i]->bytes.data() + sector * sector_size;
            put(write.first + i, sector, from, write.stable && tear == nullptr);
        }
    }
    ++finished_;
}

Device::Request Device::begin_write(int node, BlockNumber first, std::vector<clusterfs::BlockHandle> blocks,
                                    bool stable) {
    if (observer_ != nullptr) observer_->write_begun(last_request_ + 1, first, blocks, stable);
    under_way_.emplace(++last_request_, UnderWay{node, first, std::move(blocks), stable});
    return last_request_;
}

void Device::end_write(Request request) {
    const auto node = under_way_.extract(request);
    if (node.empty()) return;
    apply(node.mapped(), nullptr);
    if (observer_ != nullptr) observer_->write_ended(request);
}

void Device::end_flush(std::uint64_t finished) {
    if (observer_ != nullptr) observer_->flush_ended(finished);
    for (auto place = unflushed_.begin(); place != unflushed_.end();) {
        auto& versions = place->second;
        std::size_t newest = 0;
        for (std::size_t i = 0; i < versions.size(); ++i) {
            if (versions[i].finished <= finished) newest = i;
        }
        versions.erase(versions.begin(), versions.begin() + static_cast<std::ptrdiff_t>(newest));
        place = versions.size() == 1 ? unflushed_.erase(place) : std::next(place);
    }
}

void Device::node_crashed(int node, Random& random) {
    for (auto place = under_way_.begin(); place != under_way_.end();) {
        if (place->second.node != node) {
            ++place;
            continue;
        }
        const auto luck = random.below(3);
        if (luck == 0) apply(place->second, &random);
        if (luck == 1) apply(place->second, nullptr);
        place = under_way_.erase(place);
    }
}

// Sector by sector in their order: the order of a hash table would be another with another library.
void Device::power_lost(Random& random) {
    std::vector<std::uint64_t> keys;
    for (const auto& [key, versions] : unflushed_) keys.push_back(key);
    std::sort(keys.begin(), keys.end());
    for (const auto key : keys) {
        const auto& versions = unflushed_.at(key);
        const auto& kept = versions[random.below(versions.size())];
        std::memcpy(at(key / sectors_per_block).bytes.data() + key % sectors_per_block * sector_size, kept.bytes.data(),
                    sector_size);
    }
    unflushed_.clear();
}

}  // namespace sim
