// mkfs.cfs: makes an empty CFS filesystem on a file, a block device or a replicated resource. Exit status: 0 made, 1
// not made, 64 wrong usage.
#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "base/io/random.hh"
#include "clusterfs/core/format_filesystem.hh"
#include "tools/fskit/open_device.hh"
#include "tools/mkfs_cfs/signatures.hh"
#include "tools/mkfs_cfs/size_text.hh"

namespace {

using clusterfs::block_size;
using mkfs_cfs::parse_size;
using mkfs_cfs::size_text;

struct Call {
    std::string device;
    std::uint64_t blocks = 0;
    std::string label;
    std::uint32_t slots = 2;
    std::string journal_size;
    std::string uuid;
    bool force = false;
    bool quiet = false;
    bool dry_run = false;
};

int fail(const std::string& text) {
    std::fprintf(stderr, "mkfs.cfs: %s\n", text.c_str());
    return EXIT_FAILURE;
}

// "32M", or "size=32M" as mkfs.ocfs2 has it.
std::optional<std::uint32_t> journal_blocks_of(std::string_view text) {
    if (text.empty()) return 0;
    if (text.starts_with("size=")) text.remove_prefix(5);
    const auto bytes = parse_size(text, 1 << 20);
    if (!bytes || *bytes % block_size != 0 || *bytes / block_size > UINT32_MAX) return std::nullopt;
    return static_cast<std::uint32_t>(*bytes / block_size);
}

base::Result<clusterfs::FormatOptions> options_of(const Call& call) {
    clusterfs::FormatOptions options;
    const auto journal = journal_blocks_of(call.journal_size);
    if (!journal) return base::failure(std::errc::invalid_argument, "journal size " + call.journal_size);
    options.journal_blocks = *journal;
    const auto uuid = call.uuid.empty() ? base::random_uuid() : base::Uuid::parse(call.uuid);
    if (!uuid) return base::failure(std::errc::invalid_argument, "uuid " + call.uuid);
    options.uuid = *uuid;
    base::fill_random(std::as_writable_bytes(std::span(&options.directory_hash_seed, 1)));
    options.label = call.label;
    options.slots = call.slots;
    options.block_count = call.blocks;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    options.now = {std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()};
    return options;
}

// Refuses to destroy what is there without --force.
base::Result<void> check_existing(const Call& call, clusterfs::SynchronousDevice& device) {
    if (call.force) return {};
    const auto nodes = mkfs_cfs::mounted_nodes(device);
    if (!nodes.empty()) {
        return base::failure(std::errc::device_or_resource_busy,
                             call.device + " is mounted, or was when its node died (" + nodes +
                                 "). Unmount it everywhere; if no node has it mounted, use --force");
    }
    BASE_ASSIGN(const auto content, mkfs_cfs::existing_content(device));
    if (!content) return {};
    return base::failure(std::errc::file_exists, call.device + " holds " + *content + ". Use --force to overwrite it");
}

void print_plan(const Call& call, const clusterfs::FormatOptions& options, const clusterfs::FormatPlan& plan) {
    const auto blocks = plan.geometry.block_count;
    std::printf("Filesystem on %s\n", call.device.c_str());
    std::printf("  Label: %s\n", call.label.c_str());
    std::printf("  UUID: %s\n", options.uuid.text().c_str());
    std::printf("  Block size: %zu\n", block_size);
    std::printf("  Size: %s (%llu blocks)\n", size_text(blocks * block_size).c_str(),
                static_cast<unsigned long long>(blocks));
    std::printf("  Allocation groups: %llu of %s\n", static_cast<unsigned long long>(plan.geometry.group_count()),
                size_text(plan.geometry.blocks_per_group() * block_size).c_str());
    std::printf("  Node slots: %u, each with a journal of %s\n", plan.slots,
                size_text(std::uint64_t{plan.journal_blocks} * block_size).c_str());
}

int run(const Call& call) {
    const auto options = options_of(call);
    if (!options) return fail(options.error().message());
    const auto device = fskit::open_device(call.device, call.dry_run);
    if (!device) return fail(device.error().message());
    auto& blocks = (*device)->blocks();
    if (const auto existing = check_existing(call, blocks); !existing) return fail(existing.error().detail);
    const auto plan = plan_format(*options, blocks.block_count());
    if (!plan) return fail(call.device + ": " + plan.error().message());
    if (!call.quiet) print_plan(call, *options, *plan);
    if (call.dry_run) return EXIT_SUCCESS;
    const auto made = format_filesystem(blocks, *options);
    if (!made) return fail(made.error().message());
    if (!call.quiet) std::printf("Done.\n");
    return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Makes an empty CFS filesystem on a file, a block device or a replicated resource.", "mkfs.cfs");
    Call call;
    app.add_option("device", call.device, "file, block device or resource")->required();
    app.add_option("blocks", call.blocks, "size in blocks of 4 KiB; the whole device where left out");
    app.add_option("-L,--label", call.label, "name of the filesystem, at most 64 bytes");
    app.add_option("-N,--node-slots", call.slots, "how many nodes can mount it at once (1 to 32)")
        ->capture_default_str();
    app.add_option("-J,--journal-size,--journal-options", call.journal_size, "size of each journal (32M, size=32M)");
    app.add_option("-U,--uuid", call.uuid, "instead of a random one");
    std::uint32_t size_of_block = block_size;
    app.add_option("-b,--block-size", size_of_block, "only 4096")->check(CLI::IsMember({4096}));
    app.add_flag("-f,-F,--force", call.force, "overwrite an existing filesystem");
    app.add_flag("-q,--quiet", call.quiet, "print nothing");
    app.add_flag("-n,--dry-run", call.dry_run, "show what would be made");
    app.set_version_flag("-V,--version", "mkfs.cfs (CFS) 0.1.0");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? EXIT_SUCCESS : EX_USAGE;
    }
    return run(call);
}
