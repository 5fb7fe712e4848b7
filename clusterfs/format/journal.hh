// One slot's journal: a header block, then a ring of records. A record is one or more descriptor blocks, then the block
// images they name, in order. It is written by one device write; the checksum over all of its blocks makes it count as
// a whole or not at all. Positions are in blocks from the ring's first block; a record does not wrap: when the rest of
// the ring is too short, the next record is at position 0 (replay looks for it there when there is none at its place).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "clusterfs/format/block_header.hh"

namespace clusterfs {

inline constexpr std::uint32_t smallest_journal_blocks = 1024;     // 4 MiB
inline constexpr std::uint32_t default_journal_blocks = 8192;      // 32 MiB
inline constexpr std::uint32_t largest_journal_blocks = 1U << 20;  // 4 GiB

enum JournalFlags : std::uint32_t {
    journal_dirty = 1U << 0,  // may hold records that are not in place: replay from the tail
};

struct JournalHeader {
    BlockHeader header;  // the owner is 0; the sequence is the largest the journal's node had seen
    std::uint32_t slot = 0;
    std::uint32_t flags = 0;          // JournalFlags
    std::uint32_t block_count = 0;    // with this header, as in the superblock
    std::uint32_t tail_position = 0;  // of the oldest record that may not be in place
    std::uint64_t tail_record = 0;    // its number
    std::uint64_t epoch = 0;          // grows at every mount and replay: records of older epochs are not records
};
static_assert(offsetof(JournalHeader, slot) == 64);
static_assert(offsetof(JournalHeader, tail_position) == 76);
static_assert(offsetof(JournalHeader, epoch) == 88);
static_assert(sizeof(JournalHeader) == 96);

struct JournalTag {
    std::uint64_t number = 0;  // where the image belongs
    BlockType type{};          // of the image
    std::uint32_t flags = 0;   // none in this format
};
static_assert(sizeof(JournalTag) == 16);

struct JournalDescriptor {
    static constexpr std::size_t capacity = 248;

    // header.number is the block on the device where this descriptor lies, header.sequence that of the transaction.
    BlockHeader header;
    std::uint64_t epoch = 0;   // of the journal header
    std::uint64_t record = 0;  // its number: one more than that of the record before
    std::uint32_t slot = 0;
    std::uint32_t descriptors = 0;  // of the record; they come first
    std::uint32_t index = 0;        // of this one among them
    std::uint32_t images = 0;       // of the record as a whole
    std::uint32_t tags_here = 0;    // capacity in all but the last descriptor
    std::uint32_t reserved_0 = 0;
    std::uint64_t images_checksum = 0;  // XXH3 over the checksums in the images' headers, in order
    std::uint64_t reserved_1 = 0;
    std::uint64_t reserved_2 = 0;
    std::array<JournalTag, capacity> tags{};
};
static_assert(offsetof(JournalDescriptor, epoch) == 64);
static_assert(offsetof(JournalDescriptor, slot) == 80);
static_assert(offsetof(JournalDescriptor, images_checksum) == 104);
static_assert(offsetof(JournalDescriptor, tags) == 128);
static_assert(sizeof(JournalDescriptor) == 4096);

inline constexpr std::uint32_t descriptors_for(std::uint32_t images) {
    return (images + JournalDescriptor::capacity - 1) / JournalDescriptor::capacity;
}
inline constexpr std::uint32_t record_blocks(std::uint32_t images) { return images + descriptors_for(images); }

// What is wrong with the fields, or null. `ring_blocks` = block_count - 1.
[[nodiscard]] const char* fault_in(const JournalHeader& header, std::uint32_t slot, std::uint32_t block_count);
[[nodiscard]] const char* fault_in(const JournalDescriptor& descriptor, std::uint32_t ring_blocks,
                                   std::uint64_t device_blocks);

}  // namespace clusterfs
