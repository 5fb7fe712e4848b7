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
    explicit Invalidator(std::size_t threads = 2);
    ~Invalidator();
    Invalidator(const Invalidator&) = delete;
    Invalidator& operator=(const Invalidator&) = delete;

    // Runs the notification and whatever follows it, soon, on a thread of its own. Any thread.
    void enqueue(std::function<void()> notification);
    // Threads are added up to that many when all are waiting: where a notification may wait for a write of this node
    // that itself waits for what another notification brings about.
    void grow_to(std::size_t threads);
    std::size_t queued() const;
    // What is queued is done and the threads have ended when this returns. Nothing may be added afterwards.
    void end();

  private:
    void add_thread();
    void work();

    mutable std::mutex mutex_;
    std::condition_variable more_;
    std::deque<std::function<void()>> queue_;
    bool ended_ = false;
    std::size_t idle_ = 0;
    std::size_t most_;
    std::vector<std::thread> threads_;
};

}  // namespace clusterfs
