#include "clusterfs/core/journal_writer.hh"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "base/ensure.hh"
#include "clusterfs/format/block_seal.hh"

namespace clusterfs {
namespace {

constexpr std::size_t in_place_at_once = 512;

bool covers(const std::map<BlockNumber, std::uint32_t>& ranges, BlockNumber number) {
    auto next = ranges.upper_bound(number);
    if (next == ranges.begin()) return false;
    --next;
    return number - next->first < next->second;
}

}  // namespace

void JournalWriter::open(const JournalRegion& region, const JournalState& state) {
    region_ = region;
    state_ = state;
    head_ = state.tail;
    record_end_ = head_.offset;
    open_ = true;
}

void JournalWriter::note_change(Transaction& transaction) {
    for (const auto& [first, count] : transaction.freed) {
        auto& length = freed_running_[first];
        length = std::max(length, count);
    }
    if (!commit_due_) commit_due_ = io_.now() + commit_interval_;
}

void JournalWriter::note_data_written(FileData what, InodeNumber inode) {
    data_written_ = std::max(data_written_, std::optional(what));
    data_under_.insert(inode_lock(inode));
    // Of what was only overwritten, the inode may be committed already.
    if (!commit_due_) commit_due_ = io_.now() + commit_interval_;
}

bool JournalWriter::freed_recently(BlockNumber number) const {
    return covers(freed_running_, number) || covers(freed_committing_, number);
}

void JournalWriter::commit(Mount::Completion done) {
    if (failed_) return done(std::unexpected(failure_));
    if (cache_.running_blocks() > 0 || data_written_) {
        next_waiters_.push_back(std::move(done));
        commit_wanted_ = true;
    } else if (committing_) {
        current_waiters_.push_back(std::move(done));
    } else {
        done({});
    }
}

// What one operation may need, twice: a record that does not fit before the end of the ring starts at its front.
bool JournalWriter::has_space() const {
    if (!open_ || failed_ || closing_ != nullptr) return false;
    const auto next = record_blocks(static_cast<std::uint32_t>(cache_.running_blocks() + max_operation_blocks));
    const auto taken = std::max(head_.offset, record_end_) - state_.tail.offset;
    return taken + 2 * std::uint64_t{next} <= region_.ring_blocks;
}

void JournalWriter::progress() {
    if (!open_ || failed_) return;
    const bool due = commit_due_ && io_.now() >= *commit_due_;
    const bool large = cache_.running_blocks() >= region_.ring_blocks / 8;
    const bool for_space = space_wanted_ && !has_space() && cache_.running_blocks() > 0;
    if (!committing_ && (commit_wanted_ || due || large || for_space)) start_commit();
    checkpoint();
    move_tail();
    if (space_wanted_ && has_space()) {
        space_wanted_ = false;
        callbacks_.progressed();
    }
    if (closing_) progress_close();
}

std::optional<base::Instant> JournalWriter::next_deadline() const {
    if (!open_ || failed_ || committing_) return std::nullopt;
    return commit_due_;
}

void JournalWriter::start_commit() {
    commit_wanted_ = false;
    commit_due_.reset();
    const auto data = std::exchange(data_written_, std::nullopt);
    flushed_data_under_ = std::exchange(data_under_, {});
    current_waiters_ = std::exchange(next_waiters_, {});
    if (cache_.running_blocks() == 0 && !data) return answer(current_waiters_, {});
    committing_ = true;
    freed_committing_ = std::exchange(freed_running_, {});
    if (cache_.running_blocks() == 0) return flush_then([this] { commit_done(); });
    auto record = build_running();
    if (!data) return write_record(record, [this] { record_stored(); });
    if (data == FileData::replaces_old) {
        const auto both = [this, left = std::make_shared<int>(2)] {
            if (--*left == 0) record_stored();
        };
        flush_then(both);
        return write_record(record, both);
    }
    flush_then([this, record = std::move(record)] { write_record(record, [this] { record_stored(); }); });
}

void JournalWriter::flush_then(std::function<void()> then) {
    io_.flush([this, then = std::move(then)](base::Result<void> outcome) {
        if (!outcome) return fail(outcome.error());
        then();
    });
}

// Takes the record's place at once: what is let in while the flush before it runs must find room behind it.
BuiltRecord JournalWriter::build_running() {
    const auto sequence = io_.next_sequence();
    const auto images = cache_.begin_commit([sequence](Block& block) { seal(block.bytes, sequence); });
    auto record = build_record(region_, head_, state_.epoch, sequence, images);
    base::ensure(record.end - state_.tail.offset <= region_.ring_blocks, "the journal has room for what was let in");
    head_.offset = record.start;
    record_end_ = record.end;
    return record;
}

void JournalWriter::write_record(const BuiltRecord& record, std::function<void()> then) {
    const auto place = region_.ring_place(record.start);
    io_.write(place, record.blocks, true, [this, then = std::move(then)](base::Result<void> outcome) {
        if (!outcome) return fail(outcome.error());
        then();
    });
}

void JournalWriter::record_stored() {
    starts_.emplace(head_.offset, head_.record);
    cache_.commit_done(head_.offset);
    head_ = {record_end_, head_.record + 1};
    commit_done();
}

void JournalWriter::commit_done() {
    committing_ = false;
    ++commits_;
    freed_committing_.clear();
    flushed_data_under_.clear();
    callbacks_.committed();
    answer(current_waiters_, {});
    callbacks_.progressed();
}

void JournalWriter::answer(std::vector<Mount::Completion>& waiters, const base::Result<void>& outcome) {
    for (auto& done : std::exchange(waiters, {})) done(outcome);
}

void JournalWriter::write_in_place(const LockName& covered_by) { issue(cache_.begin_in_place(covered_by)); }

// Leisurely once a quarter of the log is used, and as far as it takes when somebody waits.
void JournalWriter::checkpoint() {
    const bool wanted = space_wanted_ || closing_ != nullptr || used() > region_.ring_blocks / 4;
    if (!wanted || cache_.writing_blocks() >= in_place_at_once) return;
    issue(cache_.begin_in_place(in_place_at_once - cache_.writing_blocks(), head_.offset));
}

void JournalWriter::issue(std::vector<BlockCache::InPlaceWrite> writes) {
    if (failed_) return;
    for (auto& write : writes) {
        const auto count = write.blocks.size();
        io_.write(write.first, std::move(write.blocks), false, [this, first = write.first, count](auto outcome) {
            if (!outcome) return fail(outcome.error());
            cache_.in_place_done(first, count);
            callbacks_.progressed();
        });
    }
}

// The oldest record still needed: of a block not in place, or the one under way.
RecordPlace JournalWriter::tail_candidate() const {
    const auto oldest = cache_.oldest_record();
    return oldest ? RecordPlace{*oldest, starts_.at(*oldest)} : head_;
}

void JournalWriter::move_tail() {
    const auto candidate = tail_candidate();
    const auto gain = candidate.offset - state_.tail.offset;
    const bool worth_it = gain > region_.ring_blocks / 8 || (gain > 0 && space_wanted_ && !has_space());
    if (moving_tail_ || closing_ != nullptr || !worth_it) return;
    moving_tail_ = true;
    flush_then([this, candidate] {
        auto next = state_;
        next.tail = candidate;
        next.sequence = io_.clock();
        io_.write(region_.first, {build_journal_header(region_, next)}, true, [this, next](base::Result<void> written) {
            if (!written) return fail(written.error());
            state_ = next;
            starts_.erase(starts_.begin(), starts_.lower_bound(next.tail.offset));
            moving_tail_ = false;
            callbacks_.progressed();
        });
    });
}

void JournalWriter::close(Mount::Completion done) {
    if (failed_) return done(std::unexpected(failure_));
    base::ensure(closing_ == nullptr, "the journal is closed once");
    closing_ = std::move(done);
    commit_wanted_ = true;
}

void JournalWriter::progress_close() {
    const bool at_rest = !committing_ && cache_.running_blocks() == 0 && !data_written_ && !moving_tail_ &&
                         cache_.committed_blocks() == 0 && cache_.writing_blocks() == 0;
    if (!at_rest || closing_header_) return;
    closing_header_ = true;
    flush_then([this] {
        auto last = state_;
        last.tail = head_;
        last.dirty = false;
        last.sequence = io_.clock();
        io_.write(region_.first, {build_journal_header(region_, last)}, true, [this](base::Result<void> outcome) {
            if (!outcome) return fail(outcome.error());
            open_ = false;
            std::exchange(closing_, nullptr)({});
        });
    });
}

void JournalWriter::fail(const base::Error& error) {
    if (failed_) return;
    failed_ = true;
    failure_ = error;
    answer(current_waiters_, std::unexpected(error));
    answer(next_waiters_, std::unexpected(error));
    if (closing_) std::exchange(closing_, nullptr)(std::unexpected(error));
    callbacks_.failed(error);
}

void JournalWriter::check_invariants() const {
    if (!open_) return;
    base::ensure(used() <= region_.ring_blocks, "the journal is not longer than its place");
    base::ensure(tail_candidate().offset >= state_.tail.offset, "the tail on disk is not ahead of what is needed");
    base::ensure(cache_.is_committing() <= committing_, "blocks are being committed only by a commit");
    cache_.check_invariants();
}

void JournalWriter::describe(base::JsonWriter& json) const {
    json.begin_object().member("blocks", region_.ring_blocks).member("used", used()).member("commits", commits_);
    json.member("changed_blocks", cache_.running_blocks()).member("not_in_place", cache_.committed_blocks());
    json.member("committing", committing_).member("failed", failed_);
    if (failed_) json.member("failure", failure_.message());
    json.end_object();
}

}  // namespace clusterfs
