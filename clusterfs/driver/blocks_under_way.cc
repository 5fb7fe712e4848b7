#include "clusterfs/driver/blocks_under_way.hh"

#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "clusterfs/driver/block_transfer.hh"

namespace clusterfs {
namespace {

using Id = BlocksUnderWay::Id;
using Calls = std::vector<std::function<void()>>;

void run(const Calls& calls) {
    for (const auto& call : calls) call();
}

}  // namespace

struct BlocksUnderWay::State : std::enable_shared_from_this<State> {
    struct Job {
        Write write;
        bool refused = false;    // not under way: the device answered with an error
        bool discarded = false;  // not to be kept when it has ended
    };
    struct Waiter {
        std::set<Id> jobs;
        base::Result<void> outcome;
        Done done;
    };
    struct Queued {
        Write write;
        Started started;
    };

    explicit State(base::BlockDevice& to) : device(to) {}

    static std::uint64_t length(const Write& write) {
        std::uint64_t sum = 0;
        for (const auto& piece : write.pieces) sum += piece.bytes.size();
        return sum;
    }

    void enqueue(Write write, Started started) {
        {
            const std::lock_guard lock(mutex);
            queue.push_back({std::move(write), std::move(started)});
        }
        start_queued();
    }

    void start_queued() {
        for (;;) {
            base::Result<Id> id;
            Started started;
            {
                const std::lock_guard lock(mutex);
                if (queue.empty() || (bytes >= most && refused == 0)) return;
                auto& next = queue.front();
                started = std::move(next.started);
                id = refused > 0 ? std::unexpected(problem) : base::Result<Id>(add(std::move(next.write)));
                queue.pop_front();
            }
            if (id) issue(*id);
            started(std::move(id));
        }
    }

    Id add(Write write) {
        bytes += length(write);
        jobs[++last_id].write = std::move(write);
        return last_id;
    }

    void issue(Id id) {
        std::vector<Piece> pieces;
        {
            const std::lock_guard lock(mutex);
            pieces = jobs.at(id).write.pieces;
        }
        const auto transfer = BlockTransfer::create(
            device, [self = shared_from_this(), id](const base::Result<void>& outcome) { self->ended(id, outcome); });
        for (const auto& piece : pieces) transfer->write(piece.offset, piece.bytes);
        transfer->finish_starting();
    }

    // A refused one stays, and keeps others from being started.
    void ended(Id id, const base::Result<void>& outcome) {
        Calls calls;
        {
            const std::lock_guard lock(mutex);
            auto& job = jobs.at(id);
            bytes -= length(job.write);
            if (outcome || job.discarded) {
                jobs.erase(id);
            } else {
                job.refused = true;
                ++refused;
                problem = outcome.error();
            }
            for (auto waiter = waiters.begin(); waiter != waiters.end();) {
                const bool awaits = waiter->jobs.erase(id) > 0;
                if (awaits && !outcome) waiter->outcome = outcome;
                if (!waiter->jobs.empty()) {
                    ++waiter;
                    continue;
                }
                calls.push_back([done = std::move(waiter->done), all = std::move(waiter->outcome)] { done(all); });
                waiter = waiters.erase(waiter);
            }
        }
        run(calls);
        start_queued();
    }

    void discard(Id id, std::function<void()> done) {
        {
            const std::lock_guard lock(mutex);
            const auto found = jobs.find(id);
            if (found != jobs.end() && !found->second.refused) {
                found->second.discarded = true;
                waiters.push_back({{id}, {}, [done = std::move(done)](const base::Result<void>&) { done(); }});
                return;
            }
            if (found != jobs.end()) {
                --refused;
                jobs.erase(found);
            }
        }
        done();
    }

    template <typename Concerns>
    void wait(Concerns concerns, Done done) {
        Waiter waiter;
        std::vector<Id> again;
        bool nothing = false;
        {
            const std::lock_guard lock(mutex);
            for (auto& [id, job] : jobs) {
                if (!concerns(job.write.inode)) continue;
                waiter.jobs.insert(id);
                if (!std::exchange(job.refused, false)) continue;
                --refused;
                bytes += length(job.write);
                again.push_back(id);
            }
            nothing = waiter.jobs.empty();
            if (!nothing) {
                waiter.done = std::move(done);
                waiters.push_back(std::move(waiter));
            }
        }
        if (nothing) return done({});
        for (const auto id : again) issue(id);
    }

    base::BlockDevice& device;
    std::mutex mutex;
    std::map<Id, Job> jobs;
    Id last_id = 0;
    std::uint64_t bytes = 0;  // of the jobs that are under way
    std::size_t refused = 0;  // jobs
    base::Error problem;      // of the last one
    std::deque<Queued> queue;
    std::vector<Waiter> waiters;
};

BlocksUnderWay::BlocksUnderWay(base::BlockDevice& device) : state_(std::make_shared<State>(device)) {}

void BlocksUnderWay::write(Write write, Started started) { state_->enqueue(std::move(write), std::move(started)); }

void BlocksUnderWay::wait(InodeNumber inode, Done done) {
    state_->wait([inode](InodeNumber of) { return of == inode; }, std::move(done));
}

void BlocksUnderWay::wait_for_all(Done done) {
    state_->wait([](InodeNumber) { return true; }, std::move(done));
}

void BlocksUnderWay::discard(Id id, std::function<void()> done) { state_->discard(id, std::move(done)); }

void BlocksUnderWay::describe(base::JsonWriter& json) const {
    const std::lock_guard lock(state_->mutex);
    json.begin_object().member("writes", state_->jobs.size()).member("bytes", state_->bytes);
    json.member("refused", state_->refused);
    json.member("queued", state_->queue.size()).member("awaited_by", state_->waiters.size()).end_object();
}

}  // namespace clusterfs
