#include "clusterfs/core/view.hh"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/ensure.hh"
#include "clusterfs/format/block_seal.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs {
namespace {

// The number of an inode may be an old one, that the kernel or a handle still has; any other pointer must be right.
std::unexpected<base::Error> wrong_type(BlockNumber number, BlockType found, BlockType wanted) {
    auto detail =
        "block " + std::to_string(number) + " is " + text_of(found) + " where " + text_of(wanted) + " must be";
    return base::failure(wanted == BlockType::inode ? Errc::stale_inode : Errc::corrupted, std::move(detail));
}

}  // namespace

base::Result<void> View::lock(const LockName& name, LockMode mode) {
    if (std::find(used_.begin(), used_.end(), name) == used_.end()) used_.push_back(name);
    if (source_.held(name) >= mode) return {};
    if (mode == LockMode::exclusive && refused_.contains(name))
        return base::failure(std::errc::device_or_resource_busy, name.text());
    auto& wanted = needs_.locks[name];
    wanted = std::max(wanted, mode);
    return base::failure(Errc::needed, name.text());
}

base::Result<void> View::lock(std::initializer_list<LockNeed> all) {
    base::Result<void> outcome;
    for (const auto& need : all) {
        auto one = lock(need.name, need.mode);
        if (!one && outcome) outcome = std::move(one);
    }
    return outcome;
}

base::Result<void> View::pin(const LockName& name, LockMode mode) {
    base::ensure(source_.held(name) >= mode, "a lock is pinned that is not held");
    if (source_.refuses_pins(name)) {
        auto& wanted = needs_.anew[name];
        wanted = std::max(wanted, mode);
        return base::failure(Errc::needed, name.text());
    }
    transaction_.pinned.insert(name);
    return {};
}

base::Result<BlockHandle> View::fetch(BlockNumber number, const LockName& covered_by, BlockType type) {
    if (number == 0 || number >= superblock().block_count) {
        return base::failure(Errc::corrupted, "a pointer to block " + std::to_string(number));
    }
    auto handle = source_.cached_block(number);
    if (!handle) {
        const BlockNeed need{number, covered_by, type};
        if (const auto fault = faults_.find(need); fault != faults_.end()) return std::unexpected(fault->second);
        needs_.blocks.insert(need);
        return base::failure(Errc::needed, "block " + std::to_string(number));
    }
    const auto found = handle->as<BlockHeader>().magic;
    if (found != type) return wrong_type(number, found, type);
    return handle;
}

base::Result<const Block*> View::block(BlockNumber number, const LockName& covered_by, BlockType type) {
    base::ensure(source_.held(covered_by) >= LockMode::shared, "a block is read without its lock");
    if (const auto changed = transaction_.blocks.find(number); changed != transaction_.blocks.end()) {
        const auto found = changed->second.block->as<BlockHeader>().magic;
        if (found != type) return wrong_type(number, found, type);
        return changed->second.block.get();
    }
    BASE_ASSIGN(auto handle, fetch(number, covered_by, type));
    const auto* image = handle.get();
    seen_.emplace(number, std::move(handle));
    return image;
}

base::Result<Block*> View::modify(BlockNumber number, const LockName& covered_by, BlockType type) {
    base::ensure(source_.held(covered_by) == LockMode::exclusive, "a block is changed without its exclusive lock");
    if (const auto changed = transaction_.blocks.find(number); changed != transaction_.blocks.end()) {
        const auto found = changed->second.block->as<BlockHeader>().magic;
        if (found != type) return wrong_type(number, found, type);
        return changed->second.block.get();
    }
    BASE_ASSIGN(auto handle, fetch(number, covered_by, type));
    auto copy = std::make_shared<Block>(*handle);
    auto* image = copy.get();
    seen_.emplace(number, std::move(handle));
    transaction_.blocks.emplace(number, Transaction::Change{std::move(copy), covered_by});
    return image;
}

base::Result<Block*> View::create(BlockNumber number, const LockName& covered_by, BlockType type, InodeNumber owner) {
    base::ensure(source_.held(covered_by) == LockMode::exclusive, "a block is created without its exclusive lock");
    if (number == 0) return base::failure(Errc::corrupted, "block 0 was allocated");
    auto fresh = std::make_shared<Block>();
    auto& header = fresh->as<BlockHeader>();
    header.magic = type;
    header.version = 1;
    header.filesystem = superblock().header.filesystem;
    header.number = number;
    header.owner = owner;
    auto* image = fresh.get();
    if (type == BlockType::inode) transaction_.made.push_back(number);
    transaction_.blocks.insert_or_assign(number, Transaction::Change{std::move(fresh), covered_by});
    return image;
}

base::Result<void> View::will_change() {
    if (source_.read_only()) return base::failure(std::errc::read_only_file_system);
    if (source_.journal_has_space()) return {};
    needs_.journal_space = true;
    return base::failure(Errc::needed, "journal space");
}

}  // namespace clusterfs
