// What an operation sees and changes: cached blocks under held locks, and its own transaction on top.
//
// An operation is a plain function Result<…> f(View&, …). When it misses a block or a lock, the view notes it among its
// needs and returns the error Errc::needed, which the operation passes up at once. Whoever runs it fetches the needs
// and runs it again from its start with a fresh view. Nothing outside the view is changed by an operation.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "base/error.hh"
#include "base/time.hh"
#include "clusterfs/core/block.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/format/block_header.hh"

namespace clusterfs {

// What the bytes that were written to the device are to their file: new ones for old ones within it, or bytes that it
// shows only once the metadata is committed. Where both were written, the latter counts.
enum class FileData { replaces_old, becomes_visible };

struct Superblock;      // format/superblock.hh
class AllocationHints;  // core/allocation_hints.hh

// A block that has to be read from the device before the operation can go on.
struct BlockNeed {
    BlockNumber number = 0;
    LockName covered_by;
    BlockType type = BlockType::inode;  // what it must turn out to be
    auto operator<=>(const BlockNeed&) const = default;
};

struct LockNeed {
    LockName name;
    LockMode mode = LockMode::shared;
    auto operator<=>(const LockNeed&) const = default;
};

struct Needs {
    std::set<BlockNeed> blocks;
    std::map<LockName, LockMode> locks;  // the strongest mode asked for
    std::map<LockName, LockMode> anew;   // held, but being given back: to be pinned once we have them again
    std::map<LockName, LockMode> soon;   // not waited for: what comes next will want them
    bool journal_space = false;          // the journal is too full for one more operation that changes something
    bool empty() const { return blocks.empty() && locks.empty() && anew.empty() && !journal_space; }
};

// What a view stands on: a mounted filesystem (core/mount), or a whole device to itself (mkfs, fsck, debugfs, tests).
class ViewSource {
  public:
    virtual ~ViewSource() = default;

    virtual const Superblock& superblock() const = 0;
    // The newest image of a cached block, or null. What it returns has passed the checks of format/block_header.hh.
    virtual BlockHandle cached_block(BlockNumber number) const = 0;
    virtual LockMode held(const LockName& name) const = 0;
    // Another node waits for the pins of this lock to go: it takes no new ones.
    virtual bool refuses_pins(const LockName&) const { return false; }
    // This node's slot: its allocation groups are preferred, its orphan directory is used.
    virtual std::uint32_t slot() const = 0;
    // Nobody has the inode open, and that is known without asking: it was made here, and no other node has had it
    // since.
    virtual bool open_nowhere(InodeNumber) const { return false; }
    // Blocks freed by transactions that are not durable yet: not to be handed out (README, invariant 6).
    virtual bool freed_recently(BlockNumber number) const = 0;
    virtual bool journal_has_space() const = 0;
    // Where searches for free blocks leave what they found out, if anywhere: no part of what an operation changes.
    virtual AllocationHints* allocation_hints() const { return nullptr; }
    // Nothing may be changed: mounted so, or because the journal can no longer be written.
    virtual bool read_only() const { return false; }
};

// One operation's changes. Applied as a whole or dropped.
struct Transaction {
    struct Change {
        std::shared_ptr<Block> block;
        LockName covered_by;
    };
    std::map<BlockNumber, Change> blocks;
    std::vector<std::pair<BlockNumber, std::uint32_t>> freed;  // first block, count: reusable once durable
    std::set<LockName> pinned;                                 // locks that stay until Mount::unpin()
    std::vector<InodeNumber> made;                             // inodes that did not exist before
    bool empty() const { return blocks.empty() && freed.empty(); }
};

inline constexpr std::size_t max_operation_blocks = 240;

class View {
  public:
    // Blocks that were read and are of no use to whoever needs them so, and why.
    using Faults = std::map<BlockNeed, base::Error>;

    // `refused`: open locks that another holder kept from being granted exclusively (see lock()).
    View(const ViewSource& source, base::WallTime now, std::set<LockName> refused = {}, Faults faults = {})
        : source_(source), now_(now), refused_(std::move(refused)), faults_(std::move(faults)) {}
    View(const View&) = delete;
    View& operator=(const View&) = delete;

    // Succeeds if the lock is held in that mode or a stronger one; else notes the need. An exclusive open lock
    // (LockType::open) is never waited for: while anybody, on this node or another, has the inode open (the lock
    // pinned), the answer is std::errc::device_or_resource_busy.
    [[nodiscard]] base::Result<void> lock(const LockName& name, LockMode mode);
    // Several at once, so that one run names them all: prefer this to lock() after lock().
    [[nodiscard]] base::Result<void> lock(std::initializer_list<LockNeed> all);

    // Operations after this one are likely to want it. If this one has to wait for something, it is asked for as well,
    // unless it is held in some mode already; nobody waits for it.
    void want_soon(const LockName& name, LockMode mode) { needs_.soon.emplace(name, mode); }

    // The block as this operation sees it. The lock that covers it must be held (ensure). `type` is checked: a block
    // of another type is Errc::corrupted with the numbers in the detail. Valid until the view dies or modifies it.
    [[nodiscard]] base::Result<const Block*> block(BlockNumber number, const LockName& covered_by, BlockType type);
    // The same for changing: the first call copies the block into the transaction. Needs the exclusive lock.
    [[nodiscard]] base::Result<Block*> modify(BlockNumber number, const LockName& covered_by, BlockType type);
    // A metadata block that was just allocated: zeroed, header filled in (type, number, owner), never read.
    [[nodiscard]] base::Result<Block*> create(BlockNumber number, const LockName& covered_by, BlockType type,
                                              InodeNumber owner);
    // Notes that an allocated range was freed; the map change itself is the allocator's.
    void note_freed(BlockNumber first, std::uint32_t count) { transaction_.freed.emplace_back(first, count); }
    // Keeps a lock that is held in that mode from being given away after this operation is done, until Mount::unpin().
    // A lock that is just being given back has to be had anew first: Errc::needed. An operation that was through with
    // everything succeeds, so what it does outside the view (counting what is under way) it does once, after its pins.
    [[nodiscard]] base::Result<void> pin(const LockName& name, LockMode mode);
    // To be called first by every operation that will change something: waits for room in the journal, and refuses
    // with EROFS where nothing may be changed. One operation may change at most max_operation_blocks blocks; larger
    // work (truncating a big file, deleting it) is cut into several operations.
    [[nodiscard]] base::Result<void> will_change();

    const ViewSource& source() const { return source_; }
    const Superblock& superblock() const { return source_.superblock(); }
    base::WallTime now() const { return now_; }

    const Needs& needs() const { return needs_; }
    Transaction& transaction() { return transaction_; }
    // Every lock that was asked for in this run, in the order of asking.
    const std::vector<LockName>& used_locks() const { return used_; }

  private:
    [[nodiscard]] base::Result<BlockHandle> fetch(BlockNumber number, const LockName& covered_by, BlockType type);

    const ViewSource& source_;
    base::WallTime now_;
    std::set<LockName> refused_;
    Faults faults_;
    std::vector<LockName> used_;
    Needs needs_;
    Transaction transaction_;
    // Keeps alive what block() handed out.
    std::map<BlockNumber, BlockHandle> seen_;
};

}  // namespace clusterfs
