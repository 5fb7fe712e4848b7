// One thread for the few system calls that block: punching holes, reading metadata at attach.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "base/io/event_loop.hh"

namespace blockrep {

// Jobs run one after the other. The thread starts with the first one; destruction waits for the job that runs and
// drops the others.
class Worker {
  public:
    explicit Worker(base::EventLoop& loop) : loop_(loop) {}
    ~Worker();

    // `work` runs on the worker's thread, then `done` on the loop thread, if the worker still lives.
    void run(std::function<void()> work, std::function<void()> done);

  private:
    struct Job {
        std::function<void()> work;
        std::function<void()> done;
    };
    void work();

    base::EventLoop& loop_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
    std::mutex mutex_;
    std::condition_variable more_;
    std::deque<Job> jobs_;
    bool ended_ = false;
    std::thread thread_;
};

}  // namespace blockrep
