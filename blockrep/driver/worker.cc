#include "blockrep/driver/worker.hh"

namespace blockrep {

Worker::~Worker() {
    {
        const std::scoped_lock lock(mutex_);
        ended_ = true;
    }
    more_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void Worker::run(std::function<void()> work, std::function<void()> done) {
    const std::scoped_lock lock(mutex_);
    jobs_.push_back({std::move(work), std::move(done)});
    if (!thread_.joinable()) thread_ = std::thread([this] { this->work(); });
    more_.notify_one();
}

void Worker::work() {
    for (;;) {
        Job job;
        {
            std::unique_lock lock(mutex_);
            more_.wait(lock, [&] { return ended_ || !jobs_.empty(); });
            if (ended_) return;
            job = std::move(jobs_.front());
            jobs_.pop_front();
        }
        job.work();
        loop_.post([alive = std::weak_ptr<int>(alive_), done = std::move(job.done)] {
            if (alive.lock()) done();
        });
    }
}

}  // namespace blockrep
