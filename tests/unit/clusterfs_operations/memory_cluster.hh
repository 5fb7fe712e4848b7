// Two nodes on one device in memory: every node has its own cache and its own locks; what an operation misses is
// fetched, taking locks away from the other node, and the operation is run again. Transactions are in place at once.
// An operation that reads a block under the wrong lock sees stale images here, as it would in a cluster.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/time.hh"
#include "clusterfs/core/view.hh"
#include "clusterfs/format/superblock.hh"
#include "tests/unit/clusterfs_format/memory_device.hh"

namespace clusterfs::test {

class MemoryCluster;

class MemoryNode : public ViewSource {
  public:
    using Operation = std::function<base::Result<void>(View&)>;

    MemoryNode(MemoryCluster& cluster, std::uint32_t slot) : cluster_(cluster), slot_(slot) {}
    MemoryNode(const MemoryNode&) = delete;
    MemoryNode& operator=(const MemoryNode&) = delete;

    base::Result<void> run(const Operation& operation);
    // The same for an operation with a result: node.get([&](View& view) { return operations::lookup(view, …); })
    template <typename F>
    auto get(F operation) -> decltype(operation(std::declval<View&>())) {
        std::optional<typename decltype(operation(std::declval<View&>()))::value_type> value;
        BASE_TRY(run([&](View& view) -> base::Result<void> {
            auto result = operation(view);
            if (!result) return std::unexpected(std::move(result).error());
            value = *std::move(result);
            return {};
        }));
        return *std::move(value);
    }
    void unpin(const LockName& name);
    bool is_pinned(const LockName& name) const { return pins_.contains(name); }
    std::size_t pin_count() const { return pins_.size(); }
    // What was freed may be used again.
    void commit() { freed_.clear(); }

    const Superblock& superblock() const override;
    BlockHandle cached_block(BlockNumber number) const override;
    LockMode held(const LockName& name) const override;
    std::uint32_t slot() const override { return slot_; }
    bool freed_recently(BlockNumber number) const override { return freed_.contains(number); }
    bool journal_has_space() const override { return true; }

    std::size_t largest_transaction = 0;

  private:
    friend class MemoryCluster;
    struct Cached {
        BlockHandle block;
        LockName covered_by;
    };
    base::Result<void> fetch(const Needs& needs, std::set<LockName>& refused);
    base::Result<void> fetch_block(const BlockNeed& need);
    void apply(Transaction& transaction);
    void give_up(const LockName& name, LockMode keep);

    MemoryCluster& cluster_;
    std::uint32_t slot_;
    std::map<LockName, LockMode> locks_;
    std::map<LockName, std::size_t> pins_;
    std::map<BlockNumber, Cached> cache_;
    std::set<BlockNumber> freed_;
    std::set<BlockNumber> freed_in_cache_;  // covered by the group's lock too
};

class MemoryCluster {
  public:
    explicit MemoryCluster(std::uint64_t blocks, std::uint32_t nodes = 2);

    MemoryDevice device;
    Superblock superblock;
    std::vector<std::unique_ptr<MemoryNode>> nodes;
    base::WallTime now{1'700'000'000'000'000'000};
    std::uint64_t sequence = 1000;

    MemoryNode& operator[](std::size_t i) { return *nodes[i]; }
    InodeNumber root() const { return superblock.root_inode; }
    // Refused only where open locks are asked for exclusively and somebody has it pinned.
    bool take(MemoryNode& node, const LockName& name, LockMode mode);
    // What fsck finds; deleted files that are still open are no damage.
    std::vector<std::string> damage();
};

}  // namespace clusterfs::test
