// Where the bytes of files are: reading and writing in two short operations around the device I/O.
//
// begin_read() → device reads → unpin. begin_write() → device reads of partial blocks, device writes,
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
    std::uint64_t length = 0;    // of what can be read: shortened at the end of the file, 0 behind it
    std::vector<LockName> pins;  // to be unpinned when the device has answered (or the read was)
    bool is_inline = false;      // then the bytes are here and there are no segments
    base::Bytes inline_data;
    std::vector<ReadSegment> segments;  // in order, without gaps
};
// Whether the inode's lock is pinned only where the device has to be asked, or always: what the kernel will keep must
// have reached it before the lock is given back.
enum class PinRead { for_the_device, always };
base::Result<ReadPlan> begin_read(View& view, InodeReference inode, std::uint64_t offset, std::uint64_t length,
                                  PinRead when = PinRead::for_the_device);

// A block that is written only in part: bytes [begin, end) are new. Of its old content the first `valid` bytes belong
// to the file (none where it is a new block); between these and the new ones there are zeros.
struct PartialBlock {
    std::uint64_t file_block = 0;
    BlockNumber block = 0;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t valid = 0;
    bool needs_old() const { return valid > 0; }
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

// What to do at the device. In this order: every `partial` and `before` block whose old content is needed is read
// (or taken from `inline_content` where that is not empty: it is the old content of file block 0); all segments and
// `before` are written; note_data_written(); finish_write(); every lock of `pins` is unpinned, also after a failure
// (then abandon_write() instead of finish_write()).
struct WritePlan {
    bool again = false;        // an earlier truncation had to be carried on first: run the operation once more
    bool done = false;         // the data went into the inode: nothing to write, nothing to finish
    bool zeros = false;        // the new bytes are zeros (punch_hole), not the request's
    std::uint64_t offset = 0;  // where the new bytes go
    // How many there are. Less than asked for: run begin_write again with the rest (it says ENOSPC then, if so). It may
    // be 0 when only old content is moved.
    std::uint64_t length = 0;
    std::vector<WriteSegment> segments;  // whole blocks, in order, covering [offset, offset + length) rounded outwards
    std::vector<PartialBlock> partial;   // the first and the last block of them, where not all of it is new
    // One more block, not among the segments, without new bytes: its old content with zeros from `valid` on.
    std::optional<PartialBlock> before;
    base::Bytes inline_content;
    bool has_unwritten = false;
    bool appends = false;       // it begins where the file, and what is valid of its last block, ends
    bool replaces_old = false;  // all of it lies within the file, in blocks that were written before
    InodeNumber staging = 0;    // an orphan that owns the block which the inline content is moved to
    std::vector<LockName> pins;

    FileData written() const { return replaces_old ? FileData::replaces_old : FileData::becomes_visible; }
    // Whether the old content of that block comes with the plan, not from the device.
    bool was_inline(const PartialBlock& block) const { return block.file_block == 0 && !inline_content.empty(); }
    // Zeros, in the old content of a block of `partial` or of `before`, what may not become part of the file. What lies
    // on the device behind the end of the file stays as it is there: if a crash undoes the truncation that cut it off,
    // it belongs to the file again.
    void clear_old(const PartialBlock& block, base::MutableByteView image) const;
};
// Allocates what is missing as unwritten extents. Where only old bytes are replaced, the inode is changed already
// (times, set-id bits), and there is nothing left to do after the device. ENOSPC only when not even one block can be
// had; EFBIG.
base::Result<WritePlan> begin_write(View& view, const WriteRequest& request);
// After all of it is on the device. `clear_set_ids` as in the request.
base::Result<void> finish_write(View& view, InodeReference inode, const WritePlan& plan, bool clear_set_ids);
// When the device refused the data: the file is as it was, but for unwritten blocks where holes were, and for the times
// where only old bytes were to be replaced.
base::Result<void> abandon_write(View& view, InodeReference inode, const WritePlan& plan);

}  // namespace clusterfs::operations
