#include "clusterfs/core/block_cache.hh"

#include <algorithm>
#include <utility>

#include "base/ensure.hh"

namespace clusterfs {
namespace {
// One device write carries at most this many blocks.
constexpr std::size_t longest_write = 256;
}  // namespace

BlockHandle BlockCache::find(BlockNumber number) {
    const auto found = entries_.find(number);
    if (found == entries_.end()) return nullptr;
    if (found->second.clean()) clean_.splice(clean_.end(), clean_, found->second.use);
    return found->second.image;
}

BlockHandle BlockCache::peek(BlockNumber number) const {
    const auto found = entries_.find(number);
    return found == entries_.end() ? nullptr : found->second.image;
}

// Keeps the list of clean blocks in step with an entry whose state has just changed.
void BlockCache::settle(BlockNumber number, Entry& entry, bool was_clean) {
    const bool now_clean = entry.clean();
    if (was_clean && !now_clean) clean_.erase(entry.use);
    if (!was_clean && now_clean) entry.use = clean_.insert(clean_.end(), number);
}

void BlockCache::uncover(const LockName& lock, BlockNumber number) {
    const auto covered = by_lock_.find(lock);
    base::ensure(covered != by_lock_.end(), "a cached block is found by its lock");
    covered->second.erase(number);
    if (covered->second.empty()) by_lock_.erase(covered);
}

void BlockCache::erase(std::unordered_map<BlockNumber, Entry>::iterator found) {
    auto& [number, entry] = *found;
    base::ensure(entry.clean(), "a block that is not in place is dropped");
    uncover(entry.covered_by, number);
    if (entry.freed_to) uncover(*entry.freed_to, number);
    clean_.erase(entry.use);
    entries_.erase(found);
}

void BlockCache::trim() {
    while (clean_.size() > clean_limit_) erase(entries_.find(clean_.front()));
}

void BlockCache::insert_clean(BlockNumber number, const LockName& covered_by, BlockHandle image) {
    const auto [place, is_new] = entries_.try_emplace(number);
    if (!is_new) return;
    auto& entry = place->second;
    entry.covered_by = covered_by;
    entry.image = std::const_pointer_cast<Block>(std::move(image));
    entry.use = clean_.insert(clean_.end(), number);
    by_lock_[covered_by].insert(number);
    trim();
}

void BlockCache::free_block(BlockNumber number, Entry& entry) {
    if (entry.freed_to) return;
    entry.freed_to = group_lock_of_(number);
    by_lock_[*entry.freed_to].insert(number);
}

// Long ranges are file data, of which nothing is cached: then the shorter way is to look at what is.
void BlockCache::free_blocks(BlockNumber first, std::uint64_t count) {
    if (count > entries_.size()) {
        for (auto& [number, entry] : entries_) {
            if (number >= first && number - first < count) free_block(number, entry);
        }
        return;
    }
    for (auto number = first; number < first + count; ++number) {
        if (const auto found = entries_.find(number); found != entries_.end()) free_block(number, found->second);
    }
}

void BlockCache::apply(Transaction& transaction) {
    for (auto& [number, change] : transaction.blocks) {
        const auto [place, is_new] = entries_.try_emplace(number);
        auto& entry = place->second;
        const bool was_clean = !is_new && entry.clean();
        if (!is_new && entry.covered_by != change.covered_by) uncover(entry.covered_by, number);
        if (entry.freed_to) uncover(*std::exchange(entry.freed_to, std::nullopt), number);
        entry.covered_by = change.covered_by;
        by_lock_[change.covered_by].insert(number);
        entry.image = std::move(change.block);
        entry.running = true;
        running_.insert(number);
        settle(number, entry, was_clean);
    }
    for (const auto& [first, count] : transaction.freed) free_blocks(first, count);
}

std::vector<BlockHandle> BlockCache::begin_commit(const std::function<void(Block&)>& seal) {
    base::ensure(committing_.empty(), "a commit is under way");
    std::vector<BlockHandle> images;
    images.reserve(running_.size());
    for (const auto number : running_) {
        auto& entry = entries_.at(number);
        seal(*entry.image);
        entry.running = false;
        entry.committing = true;
        entry.committing_image = entry.image;
        images.push_back(entry.image);
    }
    committing_ = std::move(running_);
    running_.clear();
    return images;
}

void BlockCache::commit_done(std::uint64_t record) {
    for (const auto number : committing_) {
        auto& entry = entries_.at(number);
        if (entry.committed_image) committed_.erase({entry.record, number});
        entry.committed_image = std::move(entry.committing_image);
        entry.committing = false;
        entry.committing_image = nullptr;
        entry.record = record;
        committed_.emplace(record, number);
    }
    committing_.clear();
}

std::vector<BlockCache::InPlaceWrite> BlockCache::start_writes(const std::vector<BlockNumber>& sorted) {
    std::vector<InPlaceWrite> writes;
    for (const auto number : sorted) {
        auto& entry = entries_.at(number);
        entry.writing_image = entry.committed_image;
        ++writing_;
        const bool joins = !writes.empty() && writes.back().first + writes.back().blocks.size() == number &&
                           writes.back().blocks.size() < longest_write;
        if (!joins) writes.push_back({number, {}});
        writes.back().blocks.push_back(entry.writing_image);
    }
    return writes;
}

std::vector<BlockCache::InPlaceWrite> BlockCache::begin_in_place(std::size_t limit, std::uint64_t before) {
    std::vector<BlockNumber> chosen;
    for (const auto& [record, number] : committed_) {
        if (record >= before || chosen.size() >= limit) break;
        if (!entries_.at(number).writing_image) chosen.push_back(number);
    }
    std::sort(chosen.begin(), chosen.end());
    return start_writes(chosen);
}

std::vector<BlockCache::InPlaceWrite> BlockCache::begin_in_place(const LockName& covered_by) {
    const auto covered = by_lock_.find(covered_by);
    if (covered == by_lock_.end()) return {};
    std::set<BlockNumber> chosen;
    for (const auto number : covered->second) {
        if (!may_go_in_place(number)) continue;
        std::size_t run = 0;
        for (auto next = number; run < longest_write && may_go_in_place(next); ++next, ++run) chosen.insert(next);
        for (auto next = number; run < longest_write && may_go_in_place(next - 1); ++run) chosen.insert(--next);
    }
    return start_writes({chosen.begin(), chosen.end()});
}

bool BlockCache::may_go_in_place(BlockNumber number) const {
    const auto found = entries_.find(number);
    return found != entries_.end() && found->second.committed_image && !found->second.writing_image;
}

void BlockCache::in_place_done(BlockNumber first, std::size_t count) {
    for (auto number = first; number < first + count; ++number) {
        auto& entry = entries_.at(number);
        base::ensure(entry.writing_image != nullptr, "an in-place write ended that nobody began");
        if (entry.committed_image == entry.writing_image) {
            committed_.erase({entry.record, number});
            entry.committed_image = nullptr;
        }
        entry.writing_image = nullptr;
        --writing_;
        settle(number, entry, false);
    }
    trim();
}

std::optional<std::uint64_t> BlockCache::oldest_record() const {
    if (committed_.empty()) return std::nullopt;
    return committed_.begin()->first;
}

BlockCache::Dirt BlockCache::dirt_under(const LockName& covered_by) const {
    Dirt dirt;
    const auto covered = by_lock_.find(covered_by);
    if (covered == by_lock_.end()) return dirt;
    for (const auto number : covered->second) {
        const auto& entry = entries_.at(number);
        dirt.uncommitted |= entry.running;
        dirt.committing |= entry.committing;
        dirt.not_in_place |= entry.committed_image || entry.writing_image;
    }
    return dirt;
}

void BlockCache::drop(const LockName& covered_by) {
    const auto covered = by_lock_.find(covered_by);
    if (covered == by_lock_.end()) return;
    const std::vector<BlockNumber> numbers(covered->second.begin(), covered->second.end());
    for (const auto number : numbers) erase(entries_.find(number));
}

void BlockCache::check_invariants() const {
    std::size_t clean = 0;
    std::size_t writing = 0;
    std::size_t names = 0;
    for (const auto& [number, entry] : entries_) {
        base::ensure(entry.image != nullptr, "a cached block has an image");
        base::ensure(entry.running == running_.contains(number), "running blocks are counted");
        base::ensure(entry.committing == committing_.contains(number), "committing blocks are counted");
        base::ensure((entry.committed_image != nullptr) == committed_.contains({entry.record, number}),
                     "committed blocks are counted");
        names += entry.freed_to && *entry.freed_to != entry.covered_by ? 2 : 1;
        clean += entry.clean() ? 1 : 0;
        writing += entry.writing_image ? 1 : 0;
    }
    for (const auto& [name, numbers] : by_lock_) {
        names -= numbers.size();
        for (const auto number : numbers) {
            const auto found = entries_.find(number);
            base::ensure(found != entries_.end(), "locks cover cached blocks");
            const auto& entry = found->second;
            base::ensure(entry.covered_by == name || entry.freed_to == name, "blocks are found by their lock");
        }
    }
    base::ensure(names == 0, "blocks are found by every lock that covers them");
    base::ensure(clean == clean_.size() && clean <= clean_limit_, "the bound of clean blocks holds");
    base::ensure(writing == writing_, "in-place writes are counted");
}

}  // namespace clusterfs
