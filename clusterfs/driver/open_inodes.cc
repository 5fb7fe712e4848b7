#include "clusterfs/driver/open_inodes.hh"

#include <algorithm>
#include <limits>
#include <utility>

namespace clusterfs {
namespace {

constexpr std::uint64_t page_size = 4096;
constexpr std::uint64_t endless = std::numeric_limits<std::uint64_t>::max() / page_size * page_size;

std::uint64_t first_page(std::uint64_t offset) { return offset / page_size * page_size; }
std::uint64_t behind_last_page(std::uint64_t offset, std::uint64_t length) {
    if (length >= endless - std::min(offset, endless - page_size) - page_size) return endless;
    return first_page(offset + length + page_size - 1);
}

}  // namespace

void OpenInode::enter(std::function<void()> go) {
    {
        const std::lock_guard lock(mutex_);
        if (busy_) {
            waiting_.push_back(std::move(go));
            return;
        }
        busy_ = true;
    }
    go();
}

void OpenInode::leave() {
    std::function<void()> next;
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.empty()) {
            busy_ = false;
            return;
        }
        next = std::move(waiting_.front());
        waiting_.pop_front();
    }
    next();
}

void OpenInode::begin_read() {
    const std::lock_guard lock(mutex_);
    ++reads_;
}

void OpenInode::end_read() {
    std::vector<std::function<void()>> freed;
    {
        const std::lock_guard lock(mutex_);
        if (--reads_ == 0) freed.swap(after_reads_);
    }
    for (auto& go : freed) go();
}

bool OpenInode::reads_in_flight() const {
    const std::lock_guard lock(mutex_);
    return reads_ > 0;
}

void OpenInode::when_no_reads(std::function<void()> go) {
    {
        const std::lock_guard lock(mutex_);
        if (reads_ > 0) {
            after_reads_.push_back(std::move(go));
            return;
        }
    }
    go();
}

void OpenInode::hold_reads() {
    const std::lock_guard lock(mutex_);
    reads_held_ = true;
}

void OpenInode::let_reads_go() {
    std::vector<std::function<void()>> held;
    {
        const std::lock_guard lock(mutex_);
        reads_held_ = false;
        held.swap(held_reads_);
    }
    for (auto& go : held) go();
}

void OpenInode::note_cached(std::uint64_t offset, std::uint64_t length) {
    const std::lock_guard lock(mutex_);
    const auto from = first_page(offset);
    const auto to = behind_last_page(offset, length);
    const bool none = cached_from_ == cached_to_;
    cached_from_ = none ? from : std::min(cached_from_, from);
    cached_to_ = none ? to : std::max(cached_to_, to);
}

bool OpenInode::take_cached(std::uint64_t offset, std::uint64_t length) {
    const std::lock_guard lock(mutex_);
    const auto from = first_page(offset);
    const auto to = behind_last_page(offset, length);
    if (cached_from_ == cached_to_ || to <= cached_from_ || cached_to_ <= from) return false;
    if (from <= cached_from_) {
        cached_from_ = std::min(to, cached_to_);
    } else if (to >= cached_to_) {
        cached_to_ = from;
    }
    return true;
}

void OpenInode::begin_buffered_write() {
    std::vector<std::function<void()>> yielded;
    {
        const std::lock_guard lock(mutex_);
        ++buffered_writes_;
        stale_pages_ |= !yielded_.empty();
        yielded.swap(yielded_);
    }
    for (auto& go : yielded) go();
}

void OpenInode::note_stale_pages() {
    const std::lock_guard lock(mutex_);
    stale_pages_ = true;
}

bool OpenInode::end_buffered_write() {
    const std::lock_guard lock(mutex_);
    --buffered_writes_;
    return stale_pages_ && (buffered_writes_ > 0 || std::exchange(stale_pages_, false));
}

bool OpenInode::begin_invalidation(std::function<void()> yielded) {
    const std::lock_guard lock(mutex_);
    if (buffered_writes_ > 0) {
        stale_pages_ = true;
        return false;
    }
    ++invalidations_;
    yielded_.push_back(std::move(yielded));
    return true;
}

void OpenInode::end_invalidation() {
    const std::lock_guard lock(mutex_);
    if (--invalidations_ == 0) yielded_.clear();
}

std::shared_ptr<OpenInode> OpenInodes::get(InodeNumber inode) {
    const std::lock_guard lock(mutex_);
    auto& known = inodes_[inode];
    if (auto present = known.lock()) return present;
    std::shared_ptr<OpenInode> fresh(new OpenInode(inode), [this](OpenInode* gone) { drop(gone); });
    known = fresh;
    return fresh;
}

std::size_t OpenInodes::size() const {
    const std::lock_guard lock(mutex_);
    return inodes_.size();
}

// Somebody may have made a new record meanwhile: only a dead one is taken out.
void OpenInodes::drop(OpenInode* inode) {
    {
        const std::lock_guard lock(mutex_);
        const auto found = inodes_.find(inode->inode());
        if (found != inodes_.end() && found->second.expired()) inodes_.erase(found);
    }
    delete inode;
}

}  // namespace clusterfs
