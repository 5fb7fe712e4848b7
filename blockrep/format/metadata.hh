// What a replica keeps about itself at the end of its disk, to the byte (docs/format/blockrep-metadata.md): two copies
// of a superblock, two of the activity log, the bitmap of what the peer lacks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hh"
#include "base/error.hh"
#include "base/uuid.hh"
#include "blockrep/format/generations.hh"

namespace blockrep {

inline constexpr std::uint64_t metadata_block = 4096;           // bytes; the unit of every metadata write
inline constexpr std::uint64_t bitmap_block = 4096;             // bytes of data per bit
inline constexpr std::uint64_t bits_per_page = (4096 - 8) * 8;  // the last 8 bytes of a page are its checksum
inline constexpr std::uint64_t al_extent_size = 4 << 20;        // bytes of data per extent of the activity log
inline constexpr std::uint32_t max_al_extents = 6000;
inline constexpr std::uint64_t al_copy_length = 7 * metadata_block;

// Where everything is; a function of the disk's size alone. Offsets are bytes from metadata_offset.
struct Geometry {
    std::uint64_t data_size = 0;        // bytes that clients may use, from byte 0 of the disk
    std::uint64_t metadata_offset = 0;  // bytes from the start of the disk
    std::uint64_t metadata_length = 0;
    std::uint64_t bitmap_bits = 0;
    std::uint64_t bitmap_pages = 0;

    static constexpr std::uint64_t superblock_offset(std::uint64_t copy) { return copy * metadata_block; }
    static constexpr std::uint64_t al_offset(std::uint64_t copy) { return 2 * metadata_block + copy * al_copy_length; }
    static constexpr std::uint64_t bitmap_offset(std::uint64_t page) { return al_offset(2) + page * metadata_block; }
};
// Errc::device_too_small below 1 MiB.
base::Result<Geometry> geometry_of(std::uint64_t disk_size);

struct Superblock {
    std::uint64_t sequence = 0;  // the copy with the larger one counts
    base::Uuid device;           // made by create-md; which replica this is
    std::uint64_t disk_size = 0;
    bool consistent = false;     // else a resync was under way, or nothing was ever written
    bool up_to_date = false;     // consistent, and not known to be older than the peer's
    bool primary = false;        // set while Primary, or written through by one without a disk: found at attach, the
                                 // node crashed, and its activity log counts
    bool peer_outdated = false;  // the peer is known not to have the newest data: this replica may go on alone
    Generations generations;
    bool operator==(const Superblock&) const = default;
};
base::Bytes encode(const Superblock& superblock);  // metadata_block bytes
// no_metadata, metadata_version, metadata_damaged, or the superblock.
base::Result<Superblock> decode_superblock(base::ByteView block);

// The extents that may have been written to, as last recorded.
struct ActivityLogCopy {
    std::uint64_t sequence = 0;
    std::vector<std::uint32_t> extents;
    bool operator==(const ActivityLogCopy&) const = default;
};
base::Bytes encode(const ActivityLogCopy& copy);  // al_copy_length bytes
base::Result<ActivityLogCopy> decode_activity_log(base::ByteView bytes);

// Seals a page: `page` is metadata_block bytes, the bits in front.
void seal_bitmap_page(base::MutableByteView page, std::uint64_t number, const base::Uuid& device);
bool is_good_bitmap_page(base::ByteView page, std::uint64_t number, const base::Uuid& device);

// What create-md writes: the whole metadata area of a new replica.
base::Bytes format_metadata(const Geometry& geometry, std::uint64_t disk_size, const base::Uuid& device);

// The metadata area as it was read at attach, checked. A torn or rotten bitmap page comes out as all ones.
struct MetadataImage {
    Superblock superblock;
    ActivityLogCopy activity_log;
    std::uint64_t newer_superblock_copy = 0;  // 0 or 1
    std::uint64_t newer_al_copy = 0;
    std::vector<std::uint64_t> bitmap;  // 64 bits a word, bit 0 first
    std::uint64_t damaged_pages = 0;
};
base::Result<MetadataImage> read_metadata(const Geometry& geometry, std::uint64_t disk_size, base::ByteView area);

}  // namespace blockrep
