#include "clusterfs/core/whole_device.hh"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/ensure.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/format/block_seal.hh"

namespace clusterfs {

base::Result<std::shared_ptr<Block>> read_checked(SynchronousDevice& device, BlockNumber number,
                                                  const base::Uuid& filesystem) {
    if (number == 0 || number >= device.block_count()) {
        return base::failure(Errc::corrupted, "block " + std::to_string(number) + " is outside the filesystem");
    }
    auto block = std::make_shared<Block>();
    BASE_TRY(device.read(number, {block.get(), 1}));
    const auto fault = check(block->bytes, number, filesystem);
    if (fault == BlockFault::none) return block;
    return base::failure(Errc::corrupted, "block " + std::to_string(number) + ": " + text_of(fault));
}

base::Result<Superblock> read_superblock(SynchronousDevice& device, BlockNumber number) {
    if (number >= device.block_count()) return base::failure(Errc::not_a_filesystem);
    auto block = std::make_unique<Block>();
    BASE_TRY(device.read(number, {block.get(), 1}));
    const auto& superblock = block->as<Superblock>();
    if (superblock.header.magic != BlockType::superblock) return base::failure(Errc::not_a_filesystem);
    const auto fault = check(block->bytes, number);
    if (fault == BlockFault::unknown_version) return base::failure(Errc::newer_format);
    if (fault != BlockFault::none) {
        return base::failure(Errc::corrupted, "superblock in block " + std::to_string(number) + ": " + text_of(fault));
    }
    if (const auto* wrong = fault_in(superblock, device.block_count())) {
        return base::failure(Errc::corrupted, "superblock in block " + std::to_string(number) + ": " + wrong);
    }
    if ((superblock.incompat & ~known_incompat) != 0) return base::failure(Errc::newer_format);
    return superblock;
}

BlockHandle WholeDevice::cached_block(BlockNumber number) const {
    if (const auto changed = dirty_.find(number); changed != dirty_.end()) return changed->second;
    const auto read = clean_.find(number);
    return read == clean_.end() ? nullptr : read->second;
}

base::Result<void> WholeDevice::fetch(const Needs& needs) {
    for (const auto& need : needs.blocks) {
        BASE_ASSIGN(auto block, read_checked(device_, need.number, superblock_.uuid()));
        saw_sequence(block->as<BlockHeader>().sequence);
        clean_.insert_or_assign(need.number, std::move(block));
    }
    return {};
}

base::Result<void> WholeDevice::run(const Operation& operation, base::WallTime now) {
    while (true) {
        View view(*this, now);
        auto outcome = operation(view);
        if (!outcome && outcome.error().code == make_error_code(Errc::needed)) {
            base::ensure(!view.needs().blocks.empty(), "an operation needs what a whole device does not have");
            BASE_TRY(fetch(view.needs()));
            continue;
        }
        if (!outcome) return outcome;
        for (auto& [number, change] : view.transaction().blocks) {
            clean_.erase(number);
            dirty_.insert_or_assign(number, std::move(change.block));
        }
        return {};
    }
}

base::Result<void> WholeDevice::flush() {
    constexpr std::size_t longest_write = 256;
    const auto sequence = ++highest_sequence_;
    for (auto next = dirty_.begin(); next != dirty_.end();) {
        const auto first = next->first;
        std::vector<Block> run;
        for (; next != dirty_.end() && next->first == first + run.size() && run.size() < longest_write; ++next) {
            seal(next->second->bytes, sequence);
            run.push_back(*next->second);
        }
        BASE_TRY(device_.write(first, run));
    }
    for (auto& [number, block] : dirty_) clean_.insert_or_assign(number, std::move(block));
    dirty_.clear();
    return device_.flush();
}

void WholeDevice::trim(std::size_t limit) {
    if (clean_.size() > limit) clean_.clear();
}

void WholeDevice::put(std::shared_ptr<Block> block) {
    const auto number = block->as<BlockHeader>().number;
    clean_.erase(number);
    dirty_.insert_or_assign(number, std::move(block));
}

void WholeDevice::forget(BlockNumber number) {
    clean_.erase(number);
    dirty_.erase(number);
}

}  // namespace clusterfs
