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

// What the driver has to do before it calls again with `zeroed` set.
struct ResizeStep {
    bool done = false;
    // Bytes [begin, end) of that block have to become zeros (read, change, write, note_data_written()); inode_lock is
    // pinned until then. Call the operation again with zeroed = true, then unpin.
    std::optional<PartialBlock> zero;
    Attributes attributes;  // when done
};

// truncate and ftruncate. Call until done: a growing file may need the end of its last block zeroed, a shrinking one
// is shortened at once (visible with the first step) and its blocks are freed in bounded steps.
base::Result<ResizeStep> resize(View& view, InodeReference inode, std::uint64_t size, bool clear_set_ids, bool zeroed);

enum class Preallocation { change_size, keep_size };
// fallocate mode 0 and FALLOC_FL_KEEP_SIZE: [offset, offset + length) gets blocks, unwritten where new.
base::Result<ResizeStep> preallocate(View& view, InodeReference inode, std::uint64_t offset, std::uint64_t length,
                                     Preallocation mode, bool zeroed);
// FALLOC_FL_PUNCH_HOLE: at most two partial blocks are asked to be zeroed, one after the other: `zeroed` counts them.
base::Result<ResizeStep> punch_hole(View& view, InodeReference inode, std::uint64_t offset, std::uint64_t length,
                                    unsigned zeroed);

enum class SeekFor { data, hole };
// lseek SEEK_DATA and SEEK_HOLE; ENXIO behind the end. Unwritten extents count as holes.
base::Result<std::uint64_t> seek(View& view, InodeReference inode, std::uint64_t offset, SeekFor what);

}  // namespace clusterfs::operations
