// fsck.cfs: checks and repairs a CFS filesystem that no node has mounted. Exit status as fsck(8): 0 nothing wrong, 1
// repaired, 4 something is left, 8 the check could not be done, 16 wrong usage.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "clusterfs/core/error.hh"
#include "clusterfs/format/journal.hh"
#include "clusterfs/format/slot_map.hh"
#include "tools/fsck_cfs/console.hh"
#include "tools/fsck_cfs/mounted.hh"
#include "tools/fskit/open_device.hh"

namespace {

enum ExitStatus { nothing_wrong = 0, repaired = 1, something_left = 4, not_done = 8, wrong_usage = 16 };

struct Call {
    std::string device;
    bool look = false;
    bool preen = false;
    bool yes = false;
    bool force = false;
    bool verbose = false;
    bool assume_unmounted = false;
};

int fail(const Call& call, const std::string& text) {
    std::fprintf(stderr, "fsck.cfs: %s: %s\n", call.device.c_str(), text.c_str());
    return not_done;
}

// Unmounted properly and not marked: -p need not look further.
bool was_left_clean(clusterfs::SynchronousDevice& device) {
    const auto superblock = clusterfs::read_superblock(device, clusterfs::superblock_number);
    if (!superblock || superblock->state != 0) return false;
    const auto map = clusterfs::read_checked(device, clusterfs::slot_map_number, superblock->uuid());
    if (!map || fault_in((*map)->as<clusterfs::SlotMap>(), superblock->slot_count) != nullptr) return false;
    for (std::uint32_t slot = 0; slot < superblock->slot_count; ++slot) {
        if ((*map)->as<clusterfs::SlotMap>().slots[slot].state != clusterfs::SlotState::free) return false;
        const auto block = clusterfs::read_checked(device, superblock->slots[slot].journal_first, superblock->uuid());
        if (!block || ((*block)->as<clusterfs::JournalHeader>().flags & clusterfs::journal_dirty) != 0) return false;
    }
    return true;
}

fsck_cfs::Mode mode_of(const Call& call) {
    if (call.look) return fsck_cfs::Mode::look;
    if (call.preen) return fsck_cfs::Mode::preen;
    return call.yes ? fsck_cfs::Mode::yes : fsck_cfs::Mode::ask;
}

int verdict(const Call& call, const clusterfs::checking::CheckReport& report, bool needs_a_person) {
    std::printf("%s: %llu files, %llu directories, %llu of %llu blocks used\n", call.device.c_str(),
                static_cast<unsigned long long>(report.files), static_cast<unsigned long long>(report.directories),
                static_cast<unsigned long long>(report.used_blocks), static_cast<unsigned long long>(report.blocks));
    for (const auto& failure : report.failed_repairs) std::printf("  could not be repaired: %s\n", failure.c_str());
    if (needs_a_person) std::printf("%s: run fsck.cfs without -p\n", call.device.c_str());
    if (report.left() > 0) {
        std::printf("%s: %llu problems are left\n", call.device.c_str(),
                    static_cast<unsigned long long>(report.left()));
        return something_left;
    }
    if (report.repaired == 0) {
        std::printf("%s: nothing wrong\n", call.device.c_str());
        return nothing_wrong;
    }
    std::printf("%s: %llu problems repaired\n", call.device.c_str(), static_cast<unsigned long long>(report.repaired));
    return repaired;
}

int run(const Call& call) {
    const auto mode = mode_of(call);
    if (mode == fsck_cfs::Mode::ask && ::isatty(STDIN_FILENO) == 0) {
        return fail(call, "there is no terminal to ask on; use -n, -p or -y");
    }
    const auto device = fskit::open_device(call.device, call.look);
    if (!device) return fail(call, device.error().message());
    const auto mounted = call.assume_unmounted ? "" : fsck_cfs::who_has_it_mounted(**device, call.device);
    if (!mounted.empty()) {
        return fail(call, "mounted by " + mounted +
                              ". Unmount it there; if it is certain that it is not, use --assume-unmounted");
    }
    if (call.preen && !call.force && was_left_clean((*device)->blocks())) {
        std::printf("%s: clean\n", call.device.c_str());
        return nothing_wrong;
    }
    fsck_cfs::Console console(mode, call.verbose);
    clusterfs::checking::CheckOptions options;
    options.read_only = call.look;
    options.decide = [&](const auto& row, const std::string& detail) { return console.decide(row, detail); };
    options.entering = [&](const std::string& pass) { console.entering(pass); };
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    options.now = {std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()};
    const auto report = clusterfs::checking::check_filesystem((*device)->blocks(), options);
    if (!report) return fail(call, report.error().message());
    return verdict(call, *report, console.needs_a_person());
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Checks and repairs a CFS filesystem that no node has mounted.", "fsck.cfs");
    Call call;
    app.add_option("device", call.device, "file, block device or resource")->required();
    auto* look = app.add_flag("-n", call.look, "change nothing, answer no to everything");
    auto* preen = app.add_flag("-p,-a", call.preen, "repair what can be repaired without loss, unasked");
    auto* yes = app.add_flag("-y", call.yes, "repair everything, unasked");
    look->excludes(preen)->excludes(yes);
    preen->excludes(yes);
    app.add_flag("-f", call.force, "check even if it seems clean (with -p; else always)");
    app.add_flag("-v", call.verbose, "tell which part is checked");
    app.add_flag("--assume-unmounted", call.assume_unmounted, "do not ask whether a node has it mounted");
    app.set_version_flag("-V,--version", "fsck.cfs (CFS) 0.1.0");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? static_cast<int>(nothing_wrong) : static_cast<int>(wrong_usage);
    }
    return run(call);
}
