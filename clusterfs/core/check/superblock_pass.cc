#include "clusterfs/core/check/context.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/core/format_filesystem.hh"

namespace clusterfs::checking {
namespace {

std::string where(BlockNumber number) { return "block " + std::to_string(number); }

base::Result<Superblock> from_backups(SynchronousDevice& device, const CheckOptions& options, CheckReport& report,
                                      const base::Error& why) {
    for (const auto place : possible_backup_superblocks(device.block_count())) {
        auto backup = read_superblock(device, place);
        if (!backup) continue;
        const auto detail = why.message() + "; the backup in " + where(place) + " is whole";
        if (!tell(options, report, Problem::superblock_damaged, detail) && !options.read_only) break;
        return backup;
    }
    return std::unexpected(why);
}

// Everything but place, checksum and sequence must agree.
bool same_content(Superblock a, Superblock b) {
    a.header = b.header = {};
    // Backups are not rewritten for these.
    a.state = b.state = 0;
    a.checked = b.checked = 0;
    return std::memcmp(&a, &b, sizeof a) == 0;
}

void check_backups(SynchronousDevice& device, const Superblock& superblock, const CheckOptions& options,
                   CheckReport& report) {
    for (const auto place : backup_superblocks(superblock.geometry())) {
        const auto backup = read_superblock(device, place);
        if (backup && backup->uuid() == superblock.uuid() && same_content(*backup, superblock)) continue;
        // All are written at the end of a check that repairs.
        tell(options, report, Problem::backup_differs, where(place));
    }
}

}  // namespace

base::Result<Superblock> check_superblocks(SynchronousDevice& device, const CheckOptions& options,
                                           CheckReport& report) {
    auto superblock = read_superblock(device, superblock_number);
    if (!superblock && superblock.error().code == make_error_code(Errc::newer_format)) return superblock;
    if (!superblock) superblock = from_backups(device, options, report, superblock.error());
    if (!superblock) return superblock;
    if ((superblock->compat & ~known_compat) != 0 || (superblock->ro_compat & ~known_ro_compat) != 0) {
        return base::failure(Errc::newer_format, row_of(Problem::unknown_features).message);
    }
    check_backups(device, *superblock, options, report);
    if ((superblock->state & state_change_in_progress) != 0) {
        tell(options, report, Problem::layout_change_interrupted, where(superblock_number));
    }
    if ((superblock->state & state_needs_check) != 0) {
        tell(options, report, Problem::check_requested, where(superblock_number));
    }
    return superblock;
}

}  // namespace clusterfs::checking
