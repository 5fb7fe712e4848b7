#include "tests/unit/clusterfs_operations/memory_cluster.hh"

#include "base/ensure.hh"
#include "clusterfs/core/allocator.hh"
#include "clusterfs/core/check/check_filesystem.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/core/format_filesystem.hh"
#include "clusterfs/format/block_seal.hh"
#include "clusterfs/format/inode.hh"

namespace clusterfs::test {
namespace {
constexpr int most_runs = 20000;
}

MemoryCluster::MemoryCluster(std::uint64_t blocks, std::uint32_t node_count) : device(blocks) {
    FormatOptions options;
    options.uuid.bytes.fill(std::byte{0x5a});
    options.directory_hash_seed = 17;
    options.label = "cluster";
    options.slots = node_count;
    options.journal_blocks = 1024;
    options.now = now;
    auto made = format_filesystem(device, options);
    base::ensure(made.has_value(), "the device cannot be formatted");
    superblock = *made;
    for (std::uint32_t slot = 0; slot < node_count; ++slot) nodes.push_back(std::make_unique<MemoryNode>(*this, slot));
}

bool MemoryCluster::take(MemoryNode& node, const LockName& name, LockMode mode) {
    const bool open_exclusively = name.type == LockType::open && mode == LockMode::exclusive;
    for (auto& other : nodes) {
        if (open_exclusively && other->pins_.contains(name)) return false;
    }
    for (auto& other : nodes) {
        if (other.get() == &node) continue;
        const auto keep = mode == LockMode::exclusive ? LockMode::none : LockMode::shared;
        const auto found = other->locks_.find(name);
        if (found == other->locks_.end() || found->second <= keep) continue;
        base::ensure(!other->pins_.contains(name) || keep == LockMode::shared, "a pinned lock is taken away");
        other->give_up(name, keep);
    }
    node.locks_[name] = mode;
    return true;
}

std::vector<std::string> MemoryCluster::damage() {
    std::vector<std::string> found;
    checking::CheckOptions options;
    options.read_only = true;
    options.now = now;
    options.decide = [&](const checking::ProblemRow& row, const std::string& detail) {
        if (row.severity != checking::Severity::note) found.push_back(std::string(row.message) + ": " + detail);
        return false;
    };
    const auto report = checking::check_filesystem(device, options);
    if (!report) found.push_back(report.error().message());
    if (report && report->found > found.size()) found.push_back(std::to_string(report->found) + " problems");
    return found;
}

const Superblock& MemoryNode::superblock() const { return cluster_.superblock; }

BlockHandle MemoryNode::cached_block(BlockNumber number) const {
    const auto found = cache_.find(number);
    return found == cache_.end() ? nullptr : found->second.block;
}

LockMode MemoryNode::held(const LockName& name) const {
    const auto found = locks_.find(name);
    if (found == locks_.end()) return LockMode::none;
    // While it is pinned nobody may use it exclusively, not this node either.
    if (name.type == LockType::open && pins_.contains(name)) return LockMode::shared;
    return found->second;
}

base::Result<void> MemoryNode::run(const Operation& operation) {
    std::set<LockName> refused;
    for (int i = 0; i < most_runs; ++i) {
        View view(*this, cluster_.now, refused);
        auto outcome = operation(view);
        if (!outcome && outcome.error().code == Errc::needed) {
            base::ensure(!view.needs().empty(), "an operation needs something and does not say what");
            BASE_TRY(fetch(view.needs(), refused));
            continue;
        }
        if (outcome) apply(view.transaction());
        return outcome;
    }
    base::ensure(false, "an operation is never satisfied");
    return {};
}

base::Result<void> MemoryNode::fetch(const Needs& needs, std::set<LockName>& refused) {
    for (const auto& [name, mode] : needs.locks) {
        if (!cluster_.take(*this, name, mode)) refused.insert(name);
    }
    for (const auto& need : needs.blocks) BASE_TRY(fetch_block(need));
    return {};
}

base::Result<void> MemoryNode::fetch_block(const BlockNeed& need) {
    base::ensure(held(need.covered_by) != LockMode::none, "a block is fetched without its lock");
    auto block = std::make_shared<Block>();
    BASE_TRY(cluster_.device.read(need.number, std::span(block.get(), 1)));
    const auto fault = check(block->bytes, need.number, superblock().uuid());
    if (fault != BlockFault::none || block->as<BlockHeader>().magic != need.type) {
        return base::failure(Errc::corrupted, "block " + std::to_string(need.number) + ": " + text_of(fault));
    }
    if (need.type == BlockType::inode && (block->as<Inode>().flags & inode_deleted) != 0) {
        return base::failure(Errc::stale_inode);
    }
    cache_.insert_or_assign(need.number, Cached{std::move(block), need.covered_by});
    return {};
}

void MemoryNode::apply(Transaction& transaction) {
    base::ensure(transaction.blocks.size() <= max_operation_blocks, "an operation changes too many blocks");
    largest_transaction = std::max(largest_transaction, transaction.blocks.size());
    ++cluster_.sequence;
    for (auto& [number, change] : transaction.blocks) {
        base::ensure(held(change.covered_by) == LockMode::exclusive, "a change without its lock");
        seal(change.block->bytes, cluster_.sequence);
        base::ensure(cluster_.device.write(number, std::span(change.block.get(), 1)).has_value(), "write failed");
        cache_.insert_or_assign(number, Cached{change.block, change.covered_by});
        freed_in_cache_.erase(number);
    }
    for (const auto& [first, count] : transaction.freed) {
        for (auto number = first; number < first + count; ++number) {
            freed_.insert(number);
            if (cache_.contains(number)) freed_in_cache_.insert(number);
        }
    }
    for (const auto& name : transaction.pinned) {
        base::ensure(held(name) != LockMode::none, "a lock is pinned that is not held");
        ++pins_[name];
    }
}

void MemoryNode::unpin(const LockName& name) {
    const auto found = pins_.find(name);
    base::ensure(found != pins_.end(), "a lock is unpinned that is not pinned");
    if (--found->second == 0) pins_.erase(found);
}

void MemoryNode::give_up(const LockName& name, LockMode keep) {
    if (keep != LockMode::none) {
        locks_[name] = keep;
        return;
    }
    locks_.erase(name);
    commit();
    for (const auto number : freed_in_cache_) {
        if (group_lock_of(superblock(), number) == name) cache_.erase(number);
    }
    std::erase_if(cache_, [&](const auto& entry) { return entry.second.covered_by == name; });
}

}  // namespace clusterfs::test
