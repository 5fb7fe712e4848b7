// Threads that tell the kernel to forget: such a notification may wait for requests that are being served, so it is
// never sent by a thread that serves one or holds a mutex.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace clusterfs {

class Invalidator {
  public:
    explicit Invalidator(int threads = 2);
    ~Invalidator();
    Invalidator(const Invalidator&) = delete;
    Invalidator& operator=(const Invalidator&) = delete;

    // Runs the notification and whatever follows it, soon, on a thread of its own. Any thread.
    void enqueue(std::function<void()> notification);
    std::size_t queued() const;

  private:
    void work();

    mutable std::mutex mutex_;
    std::condition_variable more_;
    std::deque<std::function<void()>> queue_;
    bool ended_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace clusterfs
