// The bytes of a journal (format/journal.hh): building records and headers, and reading them back with nothing
// believed. A header's fields lie in its first sector and the rest is zeros, so that a torn header write leaves the old
// header or the new one.
//
// In memory, places in the ring are offsets that only grow: offset o is ring block o % ring_blocks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/error.hh"
#include "base/uuid.hh"
#include "clusterfs/core/block.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/format/journal.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs {

// Where a slot's journal is.
struct JournalRegion {
    base::Uuid filesystem;
    std::uint32_t slot = 0;
    BlockNumber first = 0;
    std::uint64_t ring_blocks = 0;

    BlockNumber ring_place(std::uint64_t offset) const { return first + 1 + offset % ring_blocks; }
};
JournalRegion journal_region(const Superblock& superblock, std::uint32_t slot);

// A place where a record begins or will begin.
struct RecordPlace {
    std::uint64_t offset = 0;
    std::uint64_t record = 0;  // its number
};

struct JournalState {
    bool dirty = false;
    std::uint64_t epoch = 0;
    RecordPlace tail;            // of the oldest record that may be needed
    std::uint64_t sequence = 0;  // the largest that the header's writer had seen
};

BlockHandle build_journal_header(const JournalRegion& region, const JournalState& state);
base::Result<JournalState> parse_journal_header(const JournalRegion& region, const Block& block);

struct BuiltRecord {
    std::vector<BlockHandle> blocks;
    std::uint64_t start = 0;  // offset of its first block: ring_place() is where it goes
    std::uint64_t end = 0;    // offset after its last
};
// The images are sealed with this sequence. `head` is where the record before ended.
BuiltRecord build_record(const JournalRegion& region, const RecordPlace& head, std::uint64_t epoch,
                         std::uint64_t sequence, const std::vector<BlockHandle>& images);

struct ParsedRecord {
    std::uint64_t sequence = 0;
    std::uint64_t end = 0;
    std::map<BlockNumber, std::shared_ptr<Block>> images;
};
// The record expected at `place`, if a whole one is there or at the ring's front. `ring` is the whole ring.
std::optional<ParsedRecord> find_record(const JournalRegion& region, std::span<const std::shared_ptr<Block>> ring,
                                        const RecordPlace& place, std::uint64_t epoch, std::uint64_t device_blocks);

}  // namespace clusterfs
