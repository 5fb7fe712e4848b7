#include "clusterfs/driver/entry_prefetch.hh"

#include "base/io/clock.hh"
#include "clusterfs/core/operations/read_directory.hh"
#include "clusterfs/driver/filesystem.hh"

namespace clusterfs {
namespace {

constexpr std::size_t batch_size = 64;
constexpr std::size_t most_walks = 64;
constexpr auto one_after_the_other = base::Duration::milliseconds(50);
constexpr auto pause_after_all = base::Duration::seconds(1);

}  // namespace

void EntryPrefetch::note_wait(operations::InodeReference directory) {
    std::uint64_t after = 0;
    {
        const std::lock_guard lock(mutex_);
        const auto now = base::monotonic_now();
        std::erase_if(walks_, [&](const auto& each) {
            return !each.second.running && now - each.second.last_wait > pause_after_all;
        });
        auto found = walks_.find(directory.number);
        if (found == walks_.end()) {
            if (walks_.size() < most_walks) walks_[directory.number].last_wait = now;
            return;
        }
        auto& walk = found->second;
        const bool again = now - walk.last_wait < one_after_the_other;
        if (!walk.complete) walk.last_wait = now;
        if (!again || walk.running || walk.complete) return;
        walk.running = true;
        after = walk.after;
        ++batches_;
    }
    fetch(directory, after);
}

void EntryPrefetch::fetch(operations::InodeReference directory, std::uint64_t after) {
    filesystem_.run(
        [directory, after](View& view) {
            return operations::read_directory(view, directory, after, batch_size, operations::WithAttributes::yes);
        },
        [this, directory](const base::Result<std::vector<operations::DirectoryItem>>& items) {
            const bool complete = !items || items->size() < batch_size;
            fetched(directory.number, complete ? 0 : items->back().cookie, complete);
        });
}

void EntryPrefetch::fetched(InodeNumber directory, std::uint64_t last, bool complete) {
    const std::lock_guard lock(mutex_);
    auto& walk = walks_[directory];
    walk.running = false;
    walk.complete = complete;
    walk.after = last;
}

std::uint64_t EntryPrefetch::batches() const {
    const std::lock_guard lock(mutex_);
    return batches_;
}

}  // namespace clusterfs
