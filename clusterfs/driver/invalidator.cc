#include "clusterfs/driver/invalidator.hh"

#include <algorithm>

namespace clusterfs {

Invalidator::Invalidator(std::size_t threads) : most_(threads) {
    const std::lock_guard lock(mutex_);
    while (threads_.size() < threads) add_thread();
}

// Under the mutex; the thread counts as idle until it has found something to do.
void Invalidator::add_thread() {
    ++idle_;
    threads_.emplace_back([this] { work(); });
}

Invalidator::~Invalidator() { end(); }

void Invalidator::end() {
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    more_.notify_all();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
}

void Invalidator::enqueue(std::function<void()> notification) {
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(notification));
        if (queue_.size() > idle_ && threads_.size() < most_) add_thread();
    }
    more_.notify_one();
}

void Invalidator::grow_to(std::size_t threads) {
    const std::lock_guard lock(mutex_);
    most_ = std::max(most_, threads);
}

std::size_t Invalidator::queued() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
}

void Invalidator::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        more_.wait(lock, [this] { return ended_ || !queue_.empty(); });
        if (queue_.empty()) return;
        auto notification = std::move(queue_.front());
        queue_.pop_front();
        --idle_;
        lock.unlock();
        notification();
        notification = nullptr;
        lock.lock();
        ++idle_;
    }
}

}  // namespace clusterfs
