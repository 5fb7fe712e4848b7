#include "clusterfs/core/operations/statistics.hh"

#include "clusterfs/core/allocator.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs::operations {

base::Result<Statistics> StatisticsCount::operator()(View& view) {
    constexpr std::uint64_t groups_at_once = 16;
    for (const auto groups = view.superblock().geometry().group_count(); next_group_ < groups;) {
        BASE_ASSIGN(const auto counts, count_space(view, next_group_, groups_at_once));
        next_group_ += groups_at_once;
        counted_.blocks += counts.blocks;
        counted_.free += counts.free;
        counted_.available += counts.available;
    }
    counted_.inodes = counted_.blocks;
    counted_.free_inodes = counted_.available;
    return counted_;
}

}  // namespace clusterfs::operations
