#include "tests/sim/clusterfs/device.hh"

#include <algorithm>
#include <cstring>
#include <ranges>

namespace sim {

using clusterfs::Block;
using clusterfs::BlockHandle;
using clusterfs::BlockNumber;

const Block& Device::current(BlockNumber number) const {
    static const Block zeros{};
    const auto& image = content_.at(number);
    if (image) return *image;
    return below_ != nullptr ? below_->current(number) : zeros;
}

base::Result<void> Device::read(BlockNumber first, std::span<Block> into) {
    if (first + into.size() > blocks_) return base::failure(std::errc::io_error);
    for (std::size_t i = 0; i < into.size(); ++i) {
        if (is_unreadable(first + i)) return base::failure(std::errc::io_error, "simulated");
        into[i] = current(first + i);
    }
    return {};
}

base::Result<void> Device::write(BlockNumber first, std::span<const Block> from) {
    if (first + from.size() > blocks_) return base::failure(std::errc::io_error);
    for (std::size_t i = 0; i < from.size(); ++i) content_.at(first + i) = std::make_shared<const Block>(from[i]);
    return {};
}

BlockHandle Device::image_of(BlockNumber number) const {
    static const auto zeros = std::make_shared<const Block>();
    const auto& image = content_.at(number);
    if (image) return image;
    return below_ != nullptr ? below_->image_of(number) : zeros;
}

namespace {

constexpr auto all_sectors = std::uint8_t{0xff};

void copy_sector(Block& to, const Block& from, std::size_t sector, std::size_t size) {
    std::memcpy(to.bytes.data() + sector * size, from.bytes.data() + sector * size, size);
}

}  // namespace

void Device::put(BlockNumber number, const BlockHandle& image, Sectors sectors, bool stable,
                 clusterfs::InodeNumber data_of) {
    if (stable) {
        if (const auto found = unflushed_.find(number); found != unflushed_.end()) {
            for (auto& version : found->second) version.sectors &= static_cast<Sectors>(~sectors);
            std::erase_if(found->second, [](const Version& version) { return version.sectors == 0; });
            if (found->second.empty()) unflushed_.erase(found);
        }
    } else {
        auto& versions = unflushed_[number];
        Sectors known = 0;
        for (const auto& version : versions) known |= version.sectors;
        const auto first_time = static_cast<Sectors>(sectors & ~known);
        if (first_time != 0) versions.push_back({0, image_of(number), first_time, 0});
        versions.push_back({finished_ + 1, image, sectors, data_of});
    }
    if (sectors == all_sectors) {
        content_.at(number) = image;
        unreadable_.erase(number);
        return;
    }
    const auto merged = std::make_shared<Block>(current(number));
    for (std::size_t sector = 0; sector < sectors_per_block; ++sector) {
        if ((sectors >> sector & 1) != 0) copy_sector(*merged, *image, sector, sector_size);
    }
    content_.at(number) = merged;
}

void Device::apply(const UnderWay& write, Random* tear) {
    for (std::size_t i = 0; i < write.blocks.size(); ++i) {
        Sectors arrived = 0;
        for (std::size_t sector = 0; sector < sectors_per_block; ++sector) {
            if (tear == nullptr || !tear->one_in(2)) arrived |= static_cast<Sectors>(1U << sector);
        }
        if (arrived != 0)
            put(write.first + i, write.blocks[i], arrived, write.stable && tear == nullptr, write.data_of);
    }
    ++finished_;
}

Device::Request Device::begin_write(int node, BlockNumber first, std::vector<clusterfs::BlockHandle> blocks,
                                    bool stable, clusterfs::InodeNumber data_of) {
    if (observer_ != nullptr) observer_->write_begun(last_request_ + 1, first, blocks, stable);
    under_way_.emplace(++last_request_, UnderWay{node, first, std::move(blocks), stable, data_of});
    return last_request_;
}

void Device::end_write(Request request) {
    const auto node = under_way_.extract(request);
    if (node.empty()) return;
    apply(node.mapped(), nullptr);
    if (observer_ != nullptr) observer_->write_ended(request);
}

void Device::fail_write(Request request, Random& random) {
    const auto node = under_way_.extract(request);
    if (!node.empty()) apply(node.mapped(), &random);
}

void Device::end_flush(std::uint64_t finished) {
    if (observer_ != nullptr) observer_->flush_ended(finished);
    for (auto place = unflushed_.begin(); place != unflushed_.end();) {
        auto& versions = place->second;
        Sectors settled = 0;  // by a newer version that is stable now
        Sectors once = 0;
        Sectors unflushed = 0;
        for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
            version->sectors &= static_cast<Sectors>(~settled);
            if (version->finished <= finished) {
                settled |= version->sectors;
                version->data_of = 0;
            }
            unflushed |= once & version->sectors;
            once |= version->sectors;
        }
        for (auto& version : versions) version.sectors &= unflushed;
        std::erase_if(versions, [](const Version& version) { return version.sectors == 0; });
        place = versions.empty() ? unflushed_.erase(place) : std::next(place);
    }
}

bool Device::may_lose_data_of(clusterfs::InodeNumber inode) const {
    const auto is_of_it = [inode](const auto& one) { return one.data_of == inode; };
    return std::ranges::any_of(under_way_ | std::views::values, is_of_it) ||
           std::ranges::any_of(unflushed_ | std::views::values,
                               [&](const Versions& versions) { return std::ranges::any_of(versions, is_of_it); });
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

void Device::misdirect(BlockNumber from, BlockNumber to) { content_.at(to) = image_of(from); }

void Device::tear(BlockNumber number, BlockNumber other, Random& random) {
    const auto torn = std::make_shared<Block>(current(number));
    const auto first = random.below(sectors_per_block);
    for (std::size_t i = 0; i < sectors_per_block / 2; ++i) {
        copy_sector(*torn, current(other), (first + i) % sectors_per_block, sector_size);
    }
    content_.at(number) = torn;
}

void Device::flip_bit(BlockNumber number, Random& random) {
    const auto flipped = std::make_shared<Block>(current(number));
    flipped->bytes[random.below(clusterfs::block_size)] ^= static_cast<std::byte>(1U << random.below(8));
    content_.at(number) = flipped;
}

void Device::power_lost(Random& random) {
    for (const auto& [number, versions] : unflushed_) {
        const auto left = std::make_shared<Block>(current(number));
        for (std::size_t sector = 0; sector < sectors_per_block; ++sector) {
            std::vector<const Block*> choices;
            for (const auto& version : versions) {
                if ((version.sectors >> sector & 1) != 0) choices.push_back(version.image.get());
            }
            if (!choices.empty()) copy_sector(*left, *random.pick(choices), sector, sector_size);
        }
        content_.at(number) = left;
    }
    unflushed_.clear();
}

}  // namespace sim
