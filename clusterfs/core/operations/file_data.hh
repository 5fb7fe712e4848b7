// Where the bytes of files are: reading and writing in two short operations around the device I/O.
//
// begin_read() → device reads → unpin.  begin_write() → device reads of partial blocks, device writes,
// note_data_written() → finish_write() → unpin. The inode's lock is pinned in between, so no other node changes
// the file. Within a node: writes, resize() and deallocate() of one inode must not run at the same time (the kernel's
// inode lock sees to it), and reads in flight must have ended before blocks are freed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hh"
#include "base/error.hh"
#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs::operations {

struct ReadSegment {
    std::uint64_t offset = 0;  // in the file
    std::uint64_t length = 0;  // in bytes
    BlockNumber block = 0;     // where the byte at `offset` rounded down to a block is; 0: zeros
};
struct ReadPlan {
    std::uint64_t length = 0;  // of what can be read: shortened at the end of the file, 0 behind it
    bool pinned = false;       // inode_lock(inode) was pinned; only when segments name blocks
    bool is_inline = false;    // then the bytes are here and there are no segments
    base::Bytes inline_data;
    std::vector<ReadSegment> segments;  // in order, without gaps
};
base::Result<ReadPlan> begin_read(View& view, InodeReference inode, std::uint64_t offset, std::uint64_t length);

// A block that is written only in part: bytes [begin, end) are new. The first `valid` bytes of the old content count,
// the rest of it is zeros. Nothing has to be read where valid <= begin == 0 or what is valid is replaced entirely.
struct PartialBlock {
    std::uint64_t file_block = 0;
    BlockNumber block = 0;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t valid = 0;
    bool must_read() const { return begin > 0 ? valid > 0 : valid > end; }
};
struct WriteSegment {
    std::uint64_t file_block = 0;
    BlockNumber block = 0;
    std::uint64_t count = 0;  // of blocks
};
struct WriteRequest {
    InodeReference inode;
    std::uint64_t offset = 0;
    bool append = false;  // at the end of the file, whatever `offset` says
    bool clear_set_ids = false;
    base::ByteView data;  // must stay valid until the operation has completed
};
struct WritePlan {
    bool again = false;        // an earlier truncation had to be finished first: run begin_write once more
    bool done = false;         // the data went into the inode: there is nothing to write and no pin
    std::uint64_t offset = 0;  // where it goes
    std::uint64_t length = 0;  // how much of the data this plan covers: go on with the rest (ENOSPC then, if so)
    std::uint64_t old_size = 0;
    std::vector<WriteSegment> segments;  // whole blocks, in order, covering [offset, offset + length) rounded outwards
    std::vector<PartialBlock> partial;   // at most the first and the last block of them
    // A block before the data that must be written too, with its bytes from `valid` on zeros and begin == end: the old
    // last block of the file, or the content that had been inline.
    std::optional<PartialBlock> before;
    // Where old content is not on the device but here (it was inline): the old bytes of file block 0.
    base::Bytes inline_content;
};
// Allocates what is missing as unwritten extents. ENOSPC only when not even one block can be had; EFBIG.
base::Result<WritePlan> begin_write(View& view, const WriteRequest& request);
// After all of it was written to the device. Idempotent. `clear_set_ids` as in the request.
base::Result<void> finish_write(View& view, InodeReference inode, const WritePlan& plan, bool clear_set_ids);
// Instead of finish_write() when the device refused the data: gives back what can be given back. Never required.
base::Result<void> abandon_write(View& view, InodeReference inode, const WritePlan& plan);

inline constexpr std::uint64_t max_file_size = std::uint64_t{1} << 60;

}  // namespace clusterfs::operations
