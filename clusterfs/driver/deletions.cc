#include "clusterfs/driver/deletions.hh"

#include <memory>
#include <utility>

#include "base/io/log.hh"
#include "clusterfs/core/operations/open.hh"

namespace clusterfs {

void Deletions::start(operations::InodeReference inode, std::function<void()> first_step_done) {
    {
        const std::lock_guard lock(mutex_);
        ++running_;
    }
    step(inode, std::move(first_step_done));
}

void Deletions::step(operations::InodeReference inode, std::function<void()> first_step_done) {
    auto outcome = std::make_shared<operations::Deletion>(operations::Deletion::done);
    driver_.run(
        [inode, outcome](View& view) -> base::Result<void> {
            BASE_ASSIGN(*outcome, operations::delete_orphan(view, inode));
            return {};
        },
        [this, inode, outcome, told = std::move(first_step_done)](base::Result<void> ended_with) {
            if (told) told();
            if (ended_with && *outcome == operations::Deletion::more) return step(inode, {});
            // It stays on the orphan list: the next mount of this slot deletes it.
            if (!ended_with && ended_with.error().code != std::errc::read_only_file_system) {
                base::log_warning("deleting inode {}: {}", inode.number, ended_with.error().message());
            }
            ended();
        });
}

void Deletions::ended() {
    std::vector<std::function<void()>> freed;
    {
        const std::lock_guard lock(mutex_);
        if (--running_ == 0) freed.swap(waiting_);
    }
    for (auto& go : freed) go();
}

void Deletions::when_idle(std::function<void()> go) {
    {
        const std::lock_guard lock(mutex_);
        if (running_ > 0) {
            waiting_.push_back(std::move(go));
            return;
        }
    }
    go();
}

std::size_t Deletions::running() const {
    const std::lock_guard lock(mutex_);
    return running_;
}

}  // namespace clusterfs
