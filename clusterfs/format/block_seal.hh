// Closing a metadata block before it is written, and looking at it after it was read.
#pragma once

#include <cstdint>

#include "base/bytes.hh"
#include "base/uuid.hh"
#include "clusterfs/format/block_header.hh"

namespace clusterfs {

enum class BlockFault {
    none,
    unknown_type,      // no magic of ours
    bad_checksum,      // torn or rotten
    unknown_version,   // of the structure
    bad_sequence,      // larger than any filesystem's
    other_filesystem,  // a whole block of another filesystem (or of this device before it was formatted anew)
    wrong_place,       // a whole block of this filesystem that belongs elsewhere
};
const char* text_of(BlockFault fault);

// Sets the sequence and the checksum. `block` is 4096 bytes that start with a BlockHeader.
void seal(base::MutableByteView block, std::uint64_t sequence);
// The first fault in the order above.
[[nodiscard]] BlockFault check(base::ByteView block, std::uint64_t number, const base::Uuid& filesystem);
// The same without knowing the filesystem's uuid (reading the first superblock).
[[nodiscard]] BlockFault check(base::ByteView block, std::uint64_t number);
bool is_known(BlockType type);
const char* text_of(BlockType type);

}  // namespace clusterfs
