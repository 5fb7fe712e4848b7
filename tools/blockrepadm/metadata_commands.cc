#include "metadata_commands.hh"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/aligned_buffer.hh"
#include "base/io/random.hh"
#include "blockrep/driver/config_files.hh"
#include "blockrep/driver/disk.hh"
#include "blockrep/format/error.hh"
#include "blockrep/format/metadata.hh"

namespace {

using blockrep::Geometry;

constexpr std::uint64_t step = 1 << 20;

struct Replica {
    base::FileDescriptor disk;
    std::string path;
    std::uint64_t size = 0;
    Geometry geometry;
};

base::Result<Replica> open_replica(const blockrep::config::ResourceConfig& resource) {
    BASE_ASSIGN(const auto* self, blockrep::own_host(resource));
    if (!self->meta_disk.internal()) {
        return base::failure(std::errc::not_supported, "only `meta-disk internal` is supported by this release");
    }
    Replica replica;
    replica.path = self->disk;
    BASE_ASSIGN(replica.disk, blockrep::open_exclusively(self->disk));
    BASE_ASSIGN(replica.size, blockrep::size_of_disk(replica.disk.get(), self->disk));
    BASE_ASSIGN(replica.geometry, blockrep::geometry_of(replica.size));
    return replica;
}

base::Result<base::Bytes> read_area(const Replica& replica) {
    base::Bytes area;
    base::AlignedBuffer buffer(step);
    for (std::uint64_t at = 0; at < replica.geometry.metadata_length; at += step) {
        const auto length = std::min(step, replica.geometry.metadata_length - at);
        const auto got = ::pread(replica.disk.get(), buffer.bytes().data(), length,
                                 static_cast<off_t>(replica.geometry.metadata_offset + at));
        if (got < 0) return base::errno_failure(errno, replica.path);
        if (static_cast<std::uint64_t>(got) != length) return base::failure(std::errc::io_error, replica.path);
        area.insert(area.end(), buffer.bytes().begin(), buffer.bytes().begin() + got);
    }
    return area;
}

base::Result<void> write_area(const Replica& replica, base::ByteView area) {
    base::AlignedBuffer buffer(step);
    for (std::uint64_t at = 0; at < area.size(); at += step) {
        const auto length = std::min(step, area.size() - at);
        base::copy_bytes(area.subspan(at, length), buffer.bytes());
        const auto put = ::pwrite(replica.disk.get(), buffer.bytes().data(), length,
                                  static_cast<off_t>(replica.geometry.metadata_offset + at));
        if (put < 0) return base::errno_failure(errno, replica.path);
        if (static_cast<std::uint64_t>(put) != length) return base::failure(std::errc::io_error, replica.path);
    }
    if (::fdatasync(replica.disk.get()) != 0) return base::errno_failure(errno, replica.path);
    return {};
}

// Why the place is not free; empty when it is.
std::string found_in(const Replica& replica, const base::Bytes& area) {
    if (blockrep::read_metadata(replica.geometry, replica.size, area)) return "metadata of a replica is there already";
    const bool zeros = std::ranges::all_of(area, [](std::byte each) { return each == std::byte{0}; });
    return zeros ? "" : "the end of the disk, where metadata goes, is not empty";
}

const char* yes_or_no(bool value) { return value ? "yes" : "no"; }

}  // namespace

base::Result<void> create_metadata(const blockrep::config::ResourceConfig& resource, bool force) {
    BASE_ASSIGN(const auto replica, open_replica(resource));
    if (!force) {
        BASE_ASSIGN(const auto area, read_area(replica));
        const auto found = found_in(replica, area);
        if (!found.empty()) {
            return base::failure(std::errc::file_exists, replica.path + ": " + found + " (--force overwrites it)");
        }
    }
    const auto area = blockrep::format_metadata(replica.geometry, replica.size, base::random_uuid());
    BASE_TRY(write_area(replica, area));
    std::printf("%s: metadata written to the last %llu KiB of %s; %llu KiB are left for data\n", resource.name.c_str(),
                static_cast<unsigned long long>(replica.geometry.metadata_length >> 10), replica.path.c_str(),
                static_cast<unsigned long long>(replica.geometry.data_size >> 10));
    return {};
}

base::Result<void> dump_metadata(const blockrep::config::ResourceConfig& resource) {
    BASE_ASSIGN(const auto replica, open_replica(resource));
    BASE_ASSIGN(const auto area, read_area(replica));
    BASE_ASSIGN(const auto image, blockrep::read_metadata(replica.geometry, replica.size, area));
    const auto& superblock = image.superblock;
    const auto& generations = superblock.generations;
    std::printf("resource %s; # %s\n", resource.name.c_str(), replica.path.c_str());
    std::printf("device-uuid %s;\nla-size-sect %llu;\n", superblock.device.text().c_str(),
                static_cast<unsigned long long>(replica.geometry.data_size / 512));
    std::printf("sequence %llu;\nconsistent %s;\nup-to-date %s;\nprimary %s;\npeer-outdated %s;\n",
                static_cast<unsigned long long>(superblock.sequence), yes_or_no(superblock.consistent),
                yes_or_no(superblock.up_to_date), yes_or_no(superblock.primary), yes_or_no(superblock.peer_outdated));
    std::printf("uuid {\n    0x%016llX; 0x%016llX;", static_cast<unsigned long long>(generations.current),
                static_cast<unsigned long long>(generations.bitmap));
    for (const auto id : generations.history) std::printf(" 0x%016llX;", static_cast<unsigned long long>(id));
    std::printf("\n}\nal-extents {");
    for (const auto extent : image.activity_log.extents) std::printf(" %u;", extent);
    unsigned long long bits = 0;
    for (const auto word : image.bitmap) bits += static_cast<unsigned>(__builtin_popcountll(word));
    std::printf(" }\n# bits-set %llu; damaged-bitmap-pages %llu\n", bits,
                static_cast<unsigned long long>(image.damaged_pages));
    return {};
}
