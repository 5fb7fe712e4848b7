#include "clusterfs/core/operations/statistics.hh"

#include "clusterfs/core/allocator.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs::operations {

base::Result<Statistics> get_statistics(View& view) {
    BASE_ASSIGN(const auto counts, count_space(view, 0, view.superblock().geometry().group_count()));
    return Statistics{counts.blocks, counts.free, counts.available, counts.blocks, counts.available};
}

}  // namespace clusterfs::operations
