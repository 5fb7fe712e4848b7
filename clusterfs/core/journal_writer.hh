// Makes changes durable and brings them to their places: group commit, checkpoint, the journal's head and tail.
//
// One commit at a time: [flush, if file data was written that becomes visible] → one stable write of the record → its
// blocks are committed, who waited is told. Where the data only replaces old data of its files, the flush and the
// record go out together: either may be there without the other. Behind a commit, at leisure or when space or a lock
// asks for it: committed blocks are written in place; then [flush → header with the new tail], which frees the space.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/json_writer.hh"
#include "clusterfs/core/block_cache.hh"
#include "clusterfs/core/journal_record.hh"
#include "clusterfs/core/mount_io.hh"

namespace clusterfs {

class JournalWriter {
  public:
    struct Callbacks {
        std::function<void()> progressed;  // something became durable or in place: locks may be clean, space be free
        std::function<void(const base::Error&)> failed;  // the journal cannot be written any more
        std::function<void()> committed;                 // what was freed before may be reused
    };

    JournalWriter(MountIo& io, BlockCache& cache, base::Duration commit_interval, Callbacks callbacks)
        : io_(io), cache_(cache), commit_interval_(commit_interval), callbacks_(std::move(callbacks)) {}
    JournalWriter(const JournalWriter&) = delete;
    JournalWriter& operator=(const JournalWriter&) = delete;

    // Takes over an empty journal whose header, marked dirty, is `state`.
    void open(const JournalRegion& region, const JournalState& state);
    bool is_open() const { return open_; }

    // An operation's transaction was applied to the cache.
    void note_change(Transaction& transaction);
    void note_data_written(FileData what, InodeNumber inode);
    // Under that lock data was written that no flush has begun to cover, or none has covered yet.
    bool data_waits(const LockName& name) const { return data_under_.contains(name); }
    bool data_is_dirty(const LockName& name) const { return data_waits(name) || flushed_data_under_.contains(name); }
    bool freed_recently(BlockNumber number) const;

    // `done` once everything that was changed or noted before is durable.
    void commit(Mount::Completion done);
    // The same without asking to be told: a lock is wanted.
    void commit_soon() { commit_wanted_ = true; }
    void write_in_place(const LockName& covered_by);
    // May another operation add its changes? If not, makes room and reports progress.
    bool has_space() const;
    void want_space() { space_wanted_ = true; }
    // Unmount: commits, writes everything in place, marks the journal clean.
    void close(Mount::Completion done);

    // Does what is due. To be called at the end of every step.
    void progress();
    std::optional<base::Instant> next_deadline() const;
    bool failed() const { return failed_; }
    void check_invariants() const;
    void describe(base::JsonWriter& json) const;

  private:
    void start_commit();
    BuiltRecord build_running();
    void write_record(const BuiltRecord& record, std::function<void()> then);
    void record_stored();
    void flush_then(std::function<void()> then);
    void commit_done();
    void answer(std::vector<Mount::Completion>& waiters, const base::Result<void>& outcome);
    void checkpoint();
    void issue(std::vector<BlockCache::InPlaceWrite> writes);
    void move_tail();
    RecordPlace tail_candidate() const;
    void progress_close();
    void fail(const base::Error& error);
    std::uint64_t used() const { return head_.offset - state_.tail.offset; }

    MountIo& io_;
    BlockCache& cache_;
    base::Duration commit_interval_;
    Callbacks callbacks_;

    bool open_ = false;
    bool failed_ = false;
    base::Error failure_;
    JournalRegion region_;
    JournalState state_;                             // as the header on disk has it
    RecordPlace head_;                               // where the record under way is, else where the next one goes
    std::uint64_t record_end_ = 0;                   // of the record under way
    std::map<std::uint64_t, std::uint64_t> starts_;  // of records since the tail: offset → number

    using Freed = std::map<BlockNumber, std::uint32_t>;
    Freed freed_running_;
    Freed freed_committing_;
    std::optional<FileData> data_written_;   // since the last commit began
    std::set<LockName> data_under_;          // the locks that cover it
    std::set<LockName> flushed_data_under_;  // of the commit under way
    bool commit_wanted_ = false;
    bool committing_ = false;
    std::optional<base::Instant> commit_due_;
    std::vector<Mount::Completion> next_waiters_;
    std::vector<Mount::Completion> current_waiters_;

    bool space_wanted_ = false;
    bool moving_tail_ = false;
    Mount::Completion closing_;
    bool closing_header_ = false;
    std::uint64_t commits_ = 0;
};

}  // namespace clusterfs
