// mkfs: writes an empty filesystem.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.hh"
#include "base/time.hh"
#include "base/uuid.hh"
#include "clusterfs/core/whole_device.hh"

namespace clusterfs {

struct FormatOptions {
    base::Uuid uuid;                        // random
    std::uint64_t directory_hash_seed = 0;  // random
    std::string label;
    std::uint32_t slots = 2;
    std::uint32_t journal_blocks = 0;  // each; 0: chosen by size
    std::uint64_t block_count = 0;     // 0: the whole device
    std::uint32_t root_uid = 0;
    std::uint32_t root_gid = 0;
    base::WallTime now;
    std::function<void(std::uint64_t done, std::uint64_t all)> progress;  // may be empty
};

// What a device of that size gets: chosen sizes, or why it cannot be formatted so.
struct FormatPlan {
    Geometry geometry;
    std::uint32_t slots = 0;
    std::uint32_t journal_blocks = 0;
};
[[nodiscard]] base::Result<FormatPlan> plan_format(const FormatOptions& options, std::uint64_t device_blocks);

// Ends with the superblock, so that an interrupted mkfs leaves no filesystem: an old superblock and its backups are
// overwritten first.
[[nodiscard]] base::Result<Superblock> format_filesystem(SynchronousDevice& device, const FormatOptions& options);

// The superblock in block 1 and its backups, sealed.
[[nodiscard]] base::Result<void> write_superblocks(SynchronousDevice& device, const Superblock& superblock,
                                                   std::uint64_t sequence);

}  // namespace clusterfs
