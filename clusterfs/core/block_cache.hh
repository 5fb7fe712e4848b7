// The metadata blocks that one mount has in memory, and how far each is on its way to the disk. Pure bookkeeping: who
// uses it (core/mount) writes, reads and asks for locks.
//
// A block goes clean → changed (in the running transaction) → committing → committed (in the journal, not in place) →
// clean, and may be in several of these at once when it is changed again on the way. Only clean blocks are forgotten
// to keep to the bound; the journal's size bounds the others.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "clusterfs/core/block.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs {

class BlockCache {
  public:
    using GroupLockOf = std::function<LockName(BlockNumber)>;

    // `group_lock_of` names the allocation group's lock of a block.
    BlockCache(std::size_t clean_limit, GroupLockOf group_lock_of)
        : clean_limit_(clean_limit), group_lock_of_(std::move(group_lock_of)) {}
    BlockCache(const BlockCache&) = delete;
    BlockCache& operator=(const BlockCache&) = delete;

    // The newest image, or null. Counts as a use.
    BlockHandle find(BlockNumber number);
    // The same without counting.
    BlockHandle peek(BlockNumber number) const;
    bool contains(BlockNumber number) const { return entries_.contains(number); }
    // What was read from the device; ignored if the block is cached already.
    void insert_clean(BlockNumber number, const LockName& covered_by, BlockHandle image);
    // Takes an operation's changes into the running transaction. A cached block that it frees is from now on covered
    // by its group's lock too: whoever gets that lock may use the block for something else, so our image must be in
    // place and forgotten before.
    void apply(Transaction& transaction);

    // ---- commit: at most one at a time ----
    std::size_t running_blocks() const { return running_.size(); }
    bool is_committing() const { return !committing_.empty(); }
    // The running transaction becomes the one being committed; `seal` is called for every image in ascending order of
    // number and may change it (sequence, checksum). Returns the images in that order.
    std::vector<BlockHandle> begin_commit(const std::function<void(Block&)>& seal);
    // The commit is durable at this place of the journal.
    void commit_done(std::uint64_t record);

    // ---- in place ----
    struct InPlaceWrite {
        BlockNumber first = 0;
        std::vector<BlockHandle> blocks;
    };
    // Consecutive runs of committed blocks that are not being written in place yet; they are now. At most `limit`
    // blocks, those committed before record `before` only.
    std::vector<InPlaceWrite> begin_in_place(std::size_t limit, std::uint64_t before);
    // Those that this lock covers, and their neighbours: they cost little more in the same write, and then their locks
    // can be given back at once when they are asked for.
    std::vector<InPlaceWrite> begin_in_place(const LockName& covered_by);
    void in_place_done(BlockNumber first, std::size_t count);
    std::size_t committed_blocks() const { return committed_.size(); }
    std::size_t writing_blocks() const { return writing_; }
    // The oldest record that the journal must keep, if any.
    std::optional<std::uint64_t> oldest_record() const;

    // ---- locks ----
    struct Dirt {
        bool uncommitted = false;   // needs a commit that has not begun
        bool committing = false;    // is in the commit under way
        bool not_in_place = false;  // needs an in-place write, or one is under way
        bool any() const { return uncommitted || committing || not_in_place; }
    };
    Dirt dirt_under(const LockName& covered_by) const;
    // Forgets what the lock covers; all of it must be clean.
    void drop(const LockName& covered_by);

    std::size_t size() const { return entries_.size(); }
    void check_invariants() const;

  private:
    struct Entry {
        LockName covered_by;
        std::optional<LockName> freed_to;  // the group's lock, after the block was freed
        std::shared_ptr<Block> image;
        bool running = false;
        bool committing = false;
        BlockHandle committing_image;
        BlockHandle committed_image;           // durable in the journal, newer than what is in place
        std::uint64_t record = 0;              // where in the journal committed_image is
        BlockHandle writing_image;             // an in-place write of this one is under way
        std::list<BlockNumber>::iterator use;  // in clean_
        bool clean() const { return !running && !committing && !committed_image && !writing_image; }
    };

    void settle(BlockNumber number, Entry& entry, bool was_clean);
    void trim();
    void erase(std::unordered_map<BlockNumber, Entry>::iterator found);
    void uncover(const LockName& lock, BlockNumber number);
    void free_blocks(BlockNumber first, std::uint64_t count);
    void free_block(BlockNumber number, Entry& entry);
    bool may_go_in_place(BlockNumber number) const;
    std::vector<InPlaceWrite> start_writes(const std::vector<BlockNumber>& sorted);

    std::size_t clean_limit_;
    GroupLockOf group_lock_of_;
    std::unordered_map<BlockNumber, Entry> entries_;
    std::map<LockName, std::set<BlockNumber>> by_lock_;
    std::list<BlockNumber> clean_;  // least recently used first
    std::set<BlockNumber> running_;
    std::set<BlockNumber> committing_;
    std::set<std::pair<std::uint64_t, BlockNumber>> committed_;  // by record
    std::size_t writing_ = 0;
};

}  // namespace clusterfs
