#include "clusterfs/driver/open_inodes.hh"

#include <utility>

namespace clusterfs {

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

void OpenInode::begin_read(bool cached) {
    const std::lock_guard lock(mutex_);
    ++reads_;
    if (!cached) return;
    ++cached_in_flight_;
    ++cached_begun_;
}

void OpenInode::end_read(bool cached) {
    std::vector<std::function<void()>> freed;
    {
        const std::lock_guard lock(mutex_);
        if (cached) --cached_in_flight_;
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

std::uint64_t OpenInode::cached_reads() const {
    const std::lock_guard lock(mutex_);
    return cached_begun_ * 2 + (cached_in_flight_ > 0 ? 1 : 0);
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
