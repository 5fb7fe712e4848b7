#include "blockrep/format/metadata.hh"

#include <algorithm>
#include <string>

#include "base/hash.hh"
#include "blockrep/format/error.hh"

namespace blockrep {
namespace {

constexpr std::uint64_t superblock_magic = 0x444d4b4c42534643;    // "CFSBLKMD"
constexpr std::uint64_t activity_log_magic = 0x4c414b4c42534643;  // "CFSBLKAL"
constexpr std::uint32_t version = 1;

enum Flag : std::uint32_t { consistent = 1, up_to_date = 2, primary = 4, peer_outdated = 8, known_flags = 15 };

struct RawSuperblock {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t flags;
    std::uint64_t sequence;
    std::array<std::byte, 16> device;
    std::uint64_t disk_size;
    std::uint64_t current;
    std::uint64_t bitmap;
    std::uint64_t history[4];
    std::byte reserved[metadata_block - 104];
    std::uint64_t checksum;
};
static_assert(offsetof(RawSuperblock, flags) == 12 && offsetof(RawSuperblock, sequence) == 16);
static_assert(offsetof(RawSuperblock, device) == 24 && offsetof(RawSuperblock, disk_size) == 40);
static_assert(offsetof(RawSuperblock, current) == 48 && offsetof(RawSuperblock, history) == 64);
static_assert(offsetof(RawSuperblock, checksum) == metadata_block - 8 && sizeof(RawSuperblock) == metadata_block);

std::uint32_t flags_of(const Superblock& from) {
    return (from.consistent ? consistent : 0u) | (from.up_to_date ? up_to_date : 0u) | (from.primary ? primary : 0u) |
           (from.peer_outdated ? peer_outdated : 0u);
}

std::uint64_t page_seed(std::uint64_t number, const base::Uuid& device) { return base::checksum(device.bytes, number); }

}  // namespace

base::Result<Geometry> geometry_of(std::uint64_t disk_size) {
    if (disk_size < (1 << 20)) {
        return base::failure(Errc::device_too_small, std::to_string(disk_size) + " bytes; at least 1 MiB is needed");
    }
    const auto usable = disk_size / metadata_block;
    Geometry geometry;
    // Enough for the whole disk: a few bits more than the data area needs.
    geometry.bitmap_pages = (usable + bits_per_page - 1) / bits_per_page;
    geometry.metadata_length = Geometry::bitmap_offset(geometry.bitmap_pages);
    geometry.metadata_offset = usable * metadata_block - geometry.metadata_length;
    geometry.data_size = geometry.metadata_offset;
    geometry.bitmap_bits = geometry.data_size / bitmap_block;
    return geometry;
}

base::Bytes encode(const Superblock& superblock) {
    RawSuperblock raw{};
    raw.magic = superblock_magic;
    raw.version = version;
    raw.flags = flags_of(superblock);
    raw.sequence = superblock.sequence;
    raw.device = superblock.device.bytes;
    raw.disk_size = superblock.disk_size;
    raw.current = superblock.generations.current;
    raw.bitmap = superblock.generations.bitmap;
    std::copy(superblock.generations.history.begin(), superblock.generations.history.end(), raw.history);
    const auto bytes = std::as_bytes(std::span(&raw, 1));
    raw.checksum = base::checksum(bytes.first(metadata_block - 8));
    return {bytes.begin(), bytes.end()};
}

base::Result<Superblock> decode_superblock(base::ByteView block) {
    if (block.size() != metadata_block) return base::failure(Errc::metadata_damaged, "a superblock of the wrong size");
    RawSuperblock raw;
    std::memcpy(&raw, block.data(), sizeof raw);
    if (raw.magic != superblock_magic) return base::failure(Errc::no_metadata);
    if (raw.checksum != base::checksum(block.first(metadata_block - 8))) return base::failure(Errc::metadata_damaged);
    if (raw.version != version || (raw.flags & ~known_flags) != 0) {
        return base::failure(Errc::metadata_version, "version " + std::to_string(raw.version));
    }
    Superblock superblock;
    superblock.sequence = raw.sequence;
    superblock.device.bytes = raw.device;
    superblock.disk_size = raw.disk_size;
    superblock.consistent = (raw.flags & consistent) != 0;
    superblock.up_to_date = (raw.flags & up_to_date) != 0;
    superblock.primary = (raw.flags & primary) != 0;
    superblock.peer_outdated = (raw.flags & peer_outdated) != 0;
    superblock.generations.current = raw.current;
    superblock.generations.bitmap = raw.bitmap;
    std::copy(std::begin(raw.history), std::end(raw.history), superblock.generations.history.begin());
    return superblock;
}

base::Bytes encode(const ActivityLogCopy& copy) {
    base::ByteWriter writer;
    writer.integer(activity_log_magic).integer(copy.sequence).integer(std::uint64_t{copy.extents.size()});
    for (const auto extent : copy.extents) writer.integer(extent);
    auto bytes = writer.take();
    bytes.resize(al_copy_length);
    base::store(base::MutableByteView(bytes).last(8), base::checksum(base::ByteView(bytes).first(al_copy_length - 8)));
    return bytes;
}

base::Result<ActivityLogCopy> decode_activity_log(base::ByteView bytes) {
    if (bytes.size() != al_copy_length ||
        base::load<std::uint64_t>(bytes.last(8)) != base::checksum(bytes.first(al_copy_length - 8))) {
        return base::failure(Errc::metadata_damaged, "a copy of the activity log");
    }
    base::ByteReader reader(bytes.first(al_copy_length - 8));
    const auto magic = reader.integer<std::uint64_t>();
    ActivityLogCopy copy;
    copy.sequence = reader.integer<std::uint64_t>();
    const auto count = reader.integer<std::uint64_t>();
    if (magic != activity_log_magic || count > max_al_extents) {
        return base::failure(Errc::metadata_damaged, "the activity log");
    }
    for (std::uint64_t i = 0; i < count; ++i) copy.extents.push_back(reader.integer<std::uint32_t>());
    if (!reader.ok()) return base::failure(Errc::metadata_damaged, "the activity log");
    return copy;
}

void seal_bitmap_page(base::MutableByteView page, std::uint64_t number, const base::Uuid& device) {
    base::store(page.last(8), base::checksum(page.first(metadata_block - 8), page_seed(number, device)));
}

bool is_good_bitmap_page(base::ByteView page, std::uint64_t number, const base::Uuid& device) {
    return base::load<std::uint64_t>(page.last(8)) ==
           base::checksum(page.first(metadata_block - 8), page_seed(number, device));
}

base::Bytes format_metadata(const Geometry& geometry, std::uint64_t disk_size, const base::Uuid& device) {
    base::Bytes area(geometry.metadata_length);
    const auto put = [&](std::uint64_t offset, const base::Bytes& bytes) {
        std::copy(bytes.begin(), bytes.end(), area.begin() + static_cast<std::ptrdiff_t>(offset));
    };
    Superblock superblock;
    superblock.device = device;
    superblock.disk_size = disk_size;
    superblock.generations.current = just_created;
    for (std::uint64_t copy = 0; copy < 2; ++copy) {
        superblock.sequence = copy;
        put(Geometry::superblock_offset(copy), encode(superblock));
        put(Geometry::al_offset(copy), encode(ActivityLogCopy{copy, {}}));
    }
    for (std::uint64_t page = 0; page < geometry.bitmap_pages; ++page) {
        seal_bitmap_page(base::MutableByteView(area).subspan(Geometry::bitmap_offset(page), metadata_block), page,
                         device);
    }
    return area;
}

namespace {

// The newer good one of two copies.
template <typename Copy, typename Decode>
base::Result<std::pair<Copy, std::uint64_t>> newer_of(base::ByteView first, base::ByteView second, Decode decode) {
    auto a = decode(first);
    auto b = decode(second);
    if (!a && !b) return std::unexpected(a.error());
    if (a && (!b || a->sequence >= b->sequence)) return std::pair(*std::move(a), std::uint64_t{0});
    return std::pair(*std::move(b), std::uint64_t{1});
}

void read_bitmap(const Geometry& geometry, base::ByteView area, MetadataImage& image) {
    std::vector<std::uint64_t>& words = image.bitmap;
    constexpr std::uint64_t words_per_page = bits_per_page / 64;
    words.assign(geometry.bitmap_pages * words_per_page, 0);
    for (std::uint64_t page = 0; page < geometry.bitmap_pages; ++page) {
        const auto bytes = area.subspan(Geometry::bitmap_offset(page), metadata_block);
        if (is_good_bitmap_page(bytes, page, image.superblock.device)) {
            std::memcpy(&words[page * words_per_page], bytes.data(), words_per_page * 8);
        } else {
            ++image.damaged_pages;
            std::fill_n(&words[page * words_per_page], words_per_page, ~std::uint64_t{0});
        }
    }
}

}  // namespace

base::Result<MetadataImage> read_metadata(const Geometry& geometry, std::uint64_t disk_size, base::ByteView area) {
    if (area.size() != geometry.metadata_length) return base::failure(Errc::metadata_mismatch, "a short read");
    const auto superblock = [&](std::uint64_t copy) {
        return area.subspan(Geometry::superblock_offset(copy), metadata_block);
    };
    const auto log = [&](std::uint64_t copy) { return area.subspan(Geometry::al_offset(copy), al_copy_length); };
    MetadataImage image;
    BASE_ASSIGN(const auto newest, newer_of<Superblock>(superblock(0), superblock(1), decode_superblock));
    image.superblock = newest.first;
    image.newer_superblock_copy = newest.second;
    if (image.superblock.disk_size != disk_size) {
        return base::failure(Errc::metadata_mismatch, "made for a disk of " +
                                                          std::to_string(image.superblock.disk_size) +
                                                          " bytes, this one has " + std::to_string(disk_size));
    }
    BASE_ASSIGN(const auto newest_log, newer_of<ActivityLogCopy>(log(0), log(1), decode_activity_log));
    image.activity_log = newest_log.first;
    image.newer_al_copy = newest_log.second;
    read_bitmap(geometry, area, image);
    return image;
}

}  // namespace blockrep
