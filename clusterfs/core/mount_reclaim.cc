#include "clusterfs/core/mount_reclaim.hh"

#include <utility>

#include "clusterfs/core/allocator.hh"

namespace clusterfs {

void MountReclaim::run(std::uint64_t groups, std::function<void()> done) {
    groups_ = groups;
    done_ = std::move(done);
    next();
}

void MountReclaim::next() {
    if (group_ == groups_) return std::exchange(done_, nullptr)();
    operations_.run(
        [this](View& view) -> base::Result<void> {
            BASE_TRY(view.will_change());
            BASE_ASSIGN(in_group_, reclaim_free_metadata(view, group_));
            return {};
        },
        [this](base::Result<void> outcome) {
            if (outcome) reclaimed_ += in_group_;
            group_ = outcome ? group_ + 1 : groups_;
            next();
        });
}

}  // namespace clusterfs
