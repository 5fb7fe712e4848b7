// truncate, fallocate, holes.
#pragma once

#include <cstdint>
#include <optional>

#include "base/error.hh"
#include "clusterfs/core/operations/attributes.hh"
#include "clusterfs/core/operations/file_data.hh"
#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs::operations {

struct ResizeStep {
    bool done = false;
    // Not done and work: perform it as a write (no new bytes, or zeros), finish_write(), call the operation again with
    // `zeroed` one higher, then unpin. Not done and no work: call again with the same `zeroed`.
    std::optional<WritePlan> work;
    Attributes attributes;  // when done
    // The file has its new size, and blocks are still to be freed: every further call says so.
    bool shortened = false;
};

// truncate and ftruncate; `zeroed` is 0 in the first call. A growing file may need the end of its last block zeroed; a
// shrinking one is shortened with the first step, and its blocks are freed in bounded ones.
base::Result<ResizeStep> resize(View& view, InodeReference inode, std::uint64_t size, bool clear_set_ids,
                                unsigned zeroed, bool shortened = false);

enum class Preallocation { change_size, keep_size };
// fallocate mode 0 and FALLOC_FL_KEEP_SIZE: [offset, offset + length) gets blocks, unwritten where new.
base::Result<ResizeStep> preallocate(View& view, InodeReference inode, std::uint64_t offset, std::uint64_t length,
                                     Preallocation mode, unsigned zeroed);
// FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE.
base::Result<ResizeStep> punch_hole(View& view, InodeReference inode, std::uint64_t offset, std::uint64_t length,
                                    unsigned zeroed);

enum class SeekFor { data, hole };
// lseek SEEK_DATA and SEEK_HOLE; ENXIO behind the end. Unwritten extents count as holes.
base::Result<std::uint64_t> seek(View& view, InodeReference inode, std::uint64_t offset, SeekFor what);

}  // namespace clusterfs::operations
