#include "clusterfs/core/check/check_filesystem.hh"

#include <memory>

#include "clusterfs/core/check/context.hh"
#include "clusterfs/core/check/overlay_device.hh"
#include "clusterfs/core/format_filesystem.hh"

namespace clusterfs::checking {
namespace {

base::Result<void> finish(Context& context) {
    if (context.options().read_only) return {};
    auto& whole = context.whole();
    BASE_TRY(whole.flush());
    auto superblock = context.superblock();
    if (context.report().left() == 0) superblock.state = 0;
    superblock.checked = context.options().now.nanoseconds;
    return write_superblocks(whole.device(), superblock, whole.highest_sequence() + 1);
}

base::Result<CheckReport> run_passes(SynchronousDevice& device, const CheckOptions& options) {
    CheckReport before;
    if (options.entering) options.entering("superblocks");
    BASE_ASSIGN(const auto superblock, check_superblocks(device, options, before));
    auto context = std::make_unique<Context>(device, superblock, options);
    context->report() = before;
    BASE_TRY(check_slots_and_journals(*context));
    BASE_TRY(check_namespace(*context));
    BASE_TRY(check_links(*context));
    BASE_TRY(check_maps(*context));
    if (!options.read_only) repair_deferred(*context);
    BASE_TRY(finish(*context));
    context->report().blocks = superblock.block_count;
    return context->report();
}

}  // namespace

base::Result<CheckReport> check_filesystem(SynchronousDevice& device, const CheckOptions& options) {
    if (!options.read_only) return run_passes(device, options);
    OverlayDevice overlay(device);
    return run_passes(overlay, options);
}

}  // namespace clusterfs::checking
