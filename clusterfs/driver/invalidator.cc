#include "clusterfs/driver/invalidator.hh"

namespace clusterfs {

Invalidator::Invalidator(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

Invalidator::~Invalidator() {
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    more_.notify_all();
    for (auto& thread : threads_) thread.join();
}

void Invalidator::enqueue(std::function<void()> notification) {
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(notification));
    }
    more_.notify_one();
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
        lock.unlock();
        notification();
        notification = nullptr;
        lock.lock();
    }
}

}  // namespace clusterfs
