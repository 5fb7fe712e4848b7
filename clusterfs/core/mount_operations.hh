// Runs operations: each on a view, again from its start whenever everything that it named has arrived, until it needs
// nothing more. Then its transaction is applied and its completion called.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "clusterfs/core/block_cache.hh"
#include "clusterfs/core/journal_writer.hh"
#include "clusterfs/core/lock_cache.hh"
#include "clusterfs/core/mount_io.hh"

namespace clusterfs {

class MountOperations {
  public:
    MountOperations(MountIo& io, BlockCache& cache, LockCache& locks, JournalWriter& journal, const ViewSource& source)
        : io_(io), cache_(cache), locks_(locks), journal_(journal), source_(source) {}
    MountOperations(const MountOperations&) = delete;
    MountOperations& operator=(const MountOperations&) = delete;

    void run(Mount::Operation operation, Mount::Completion done);
    void on_lock_granted(const LockName& name, LockMode mode);
    void on_lock_refused(const LockName& name);
    // The journal may have room again.
    void on_space();
    // Runs what has become ready. To be called at the end of every step; nothing here runs an operation otherwise.
    void run_ready();
    // Everything that waits ends with this error.
    void fail_all(const base::Error& error);

    bool idle() const { return pending_.empty(); }
    bool has_ready() const { return !ready_.empty() || !fresh_grants_.empty(); }
    std::size_t waiting() const { return pending_.size(); }
    void describe(base::JsonWriter& json) const;

  private:
    using Id = std::uint64_t;
    struct Fault {
        base::Error error;
        std::uint64_t tenure = 0;  // of the lock that it was read under
    };
    struct Pending {
        Mount::Operation operation;
        Mount::Completion done;
        base::Instant since;
        std::uint64_t runs = 0;
        std::set<LockName> refused;
        std::vector<LockName> protects;
        std::set<LockName> groups;           // allocation groups that it has waited for, in any run
        std::map<LockName, LockMode> locks;  // still waited for
        std::set<BlockNeed> blocks;          // still waited for
        std::map<BlockNeed, Fault> faults;   // what arrived and is of no use
        bool space = false;
        bool ready() const { return locks.empty() && blocks.empty() && !space; }
    };

    void attempt(Id id);
    void finish(Id id, base::Result<void> outcome);
    void complete(Id id, View& view, base::Result<void> outcome);
    void note_changed_groups(const Transaction& transaction);
    void park(Id id, Pending& pending, View& view);
    std::vector<LockName> locks_to_keep(const Pending& pending, const View& view) const;
    void protect(Pending& pending, std::vector<LockName> names);
    void need_locks(Id id, Pending& pending, const Needs& needs);
    void need_anew(Id id, Pending& pending, const Needs& needs);
    void read_needed(Id id, Pending& pending, const Needs& needs);
    void issue_read(const std::vector<BlockNeed>& run);
    void on_blocks(const std::vector<BlockNeed>& run, base::Result<MountIo::Blocks> read);
    std::optional<base::Error> take_block(const BlockNeed& need, const std::shared_ptr<Block>& block);
    void block_arrived(const BlockNeed& need, const std::optional<base::Error>& error);
    View::Faults current_faults(Pending& pending) const;
    void make_ready(Id id);

    MountIo& io_;
    BlockCache& cache_;
    LockCache& locks_;
    JournalWriter& journal_;
    const ViewSource& source_;

    Id last_id_ = 0;
    std::map<Id, Pending> pending_;
    std::deque<Id> ready_;
    std::map<LockName, std::vector<Id>> waiting_for_lock_;
    std::unordered_map<BlockNumber, std::vector<Id>> waiting_for_block_;
    std::unordered_map<BlockNumber, std::uint64_t> reads_;  // under way: the tenure of the lock that asked first
    std::vector<Id> waiting_for_space_;
    std::set<LockName> fresh_grants_;
    bool running_ = false;
};

}  // namespace clusterfs
