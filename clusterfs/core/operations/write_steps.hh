// Parts of the operations that write, resize and punch.
#pragma once

#include <cstdint>

#include "base/error.hh"
#include "clusterfs/core/inode.hh"
#include "clusterfs/core/operations/file_data.hh"
#include "clusterfs/core/view.hh"

namespace clusterfs::operations {

inline std::uint64_t blocks_for(std::uint64_t bytes) { return bytes / block_size + (bytes % block_size != 0); }

// Written blocks behind the end of the file are left from a truncation that was not carried through; a file must not
// grow over them. Frees a bounded part; true: none are left.
base::Result<bool> free_leftovers(View& view, const Inode& inode);

// The last block of the file if bytes behind the file's end in it are on the device: they must become zeros before the
// file grows. `before` of a plan.
base::Result<std::optional<PartialBlock>> stale_tail(View& view, const Inode& inode);

// Begins to move inline content to a block: an orphan is made that owns it. finish_staging() hands it over.
base::Result<WritePlan> begin_staging(View& view, const Inode& inode);
base::Result<void> finish_staging(View& view, InodeNumber inode, InodeNumber staging);

// Segments and partial blocks of [offset, offset + length), all of it allocated.
base::Result<void> plan_blocks(View& view, const Inode& inode, WritePlan& plan);

// Inline content: bytes [offset, offset + data) are set, what lies between the old end and `offset` is zeros.
void write_inline(Inode& inode, std::uint64_t offset, base::ByteView data);
void resize_inline(Inode& inode, std::uint64_t size);

}  // namespace clusterfs::operations
