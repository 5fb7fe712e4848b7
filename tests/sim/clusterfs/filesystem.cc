#include "tests/sim/clusterfs/filesystem.hh"

#include "clusterfs/core/format_filesystem.hh"
#include "tests/sim/common/run_seeds.hh"

namespace sim {

void make_filesystem(Device& device, Random& random) {
    clusterfs::FormatOptions format;
    format.uuid = random.uuid();
    format.directory_hash_seed = random.next();
    format.slots = 2;
    format.journal_blocks = static_cast<std::uint32_t>(1024 + random.below(512));
    format.now = {1'600'000'000'000'000'000};
    const auto made = clusterfs::format_filesystem(device, format);
    if (!made) throw Violation("mkfs: " + made.error().message());
}

}  // namespace sim
