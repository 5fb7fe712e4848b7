// mount.cfs SOURCE DIR [-o options]: mounts a CFS filesystem and serves it until it is unmounted. mount(8) calls it for
// `mount -t cfs`. Exit status, as mount(8) has it: 0 mounted, 1 wrong usage, 2 system error, 32 not mounted.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/io/cpu_latency.hh"
#include "base/io/io_path_protection.hh"
#include "base/io/log.hh"
#include "base/io/paths.hh"
#include "tools/mount_cfs/background.hh"
#include "tools/mount_cfs/setup.hh"
#include "tools/mount_cfs/unmount_helper.hh"

namespace {

using namespace mount_cfs;

struct Call {
    std::string source;
    std::string mountpoint;
    std::vector<std::string> option_lists;
    bool foreground = false;
    bool fake = false;
    bool verbose = false;
    Options options;
};

base::Result<Prepared> prepare(base::EventLoop& loop, const Call& call, Witness& witness) {
    auto prepared = call.options.local ? prepare_local(loop, call.source, call.options)
                                       : prepare_cluster(loop, call.source, call.options, witness);
    if (!prepared) return prepared;
    auto& setup = prepared->setup;
    setup.mount.self = setup.self;
    setup.mount.read_only = call.options.read_only;
    setup.mount.commit_interval = call.options.commit_interval;
    setup.filesystem.access_time = call.options.access_time;
    setup.filesystem.kernel_caching = call.options.kernel_caching;
    setup.filesystem.without_opens = call.options.readmostly;
    setup.fuse.source = call.source;
    setup.fuse.mountpoint = call.mountpoint;
    setup.fuse.kernel = call.options.kernel;
    setup.fuse.read_only = call.options.read_only;
    setup.fuse.powersave = call.options.powersave;
    setup.fuse.threads = call.options.threads;
    return prepared;
}

// The log: where -o log= says, else standard error if that is a file or we stay in the foreground, else below /run.
void start_log(const Call& call, bool background) {
    std::string path = call.options.log;
    const bool keeps_log = background && detach_from_terminal();
    if (path.empty() && background && !keeps_log) {
        const auto name = call.source.substr(call.source.find_last_of('/') + 1);
        path = base::run_path("cfs/mount-" + name + ".log");
    }
    base::open_log("mount.cfs", path, call.verbose ? base::LogLevel::debug : base::LogLevel::info);
}

int serve(const Call& call, Caller caller, Witness witness) {
    ::umask(0027);
    ::signal(SIGPIPE, SIG_IGN);
    const bool background = caller.in_background();
    for (const auto& line : base::protect_io_path()) base::log_debug("{}", line);
    std::optional<base::CpuLatencyRequest> cpu_latency;
    if (!call.options.powersave) cpu_latency.emplace();
    base::EventLoop loop;
    auto prepared = prepare(loop, call, witness);
    if (!prepared) {
        caller.tell_failed(prepared.error().message());
        return exit_failed;
    }
    int status = exit_ok;
    bool mounted = false;
    clusterfs::MountedFilesystem::Callbacks events;
    events.mounted = [&] {
        mounted = true;
        witness.mounted(call.mountpoint);
        if (background) start_log(call, true);
        if (const auto noted = note_unmount_helper(call.source, call.mountpoint); !noted) {
            base::log_info("umount will not wait: {}", noted.error().message());
        }
        caller.tell_mounted();
        base::log_info("{} is mounted on {}", call.source, call.mountpoint);
    };
    events.stopped = [&](const base::Result<void>& outcome) {
        if (outcome) {
            witness.release();
        } else {
            status = exit_failed;
            caller.tell_failed(call.source + ": " + outcome.error().message());
            if (mounted) base::log_error("{}: {}", call.source, outcome.error().message());
        }
        loop.stop();
    };
    auto filesystem =
        std::make_unique<clusterfs::MountedFilesystem>(loop, std::move(prepared->setup), std::move(events));
    const auto signals = loop.on_signals({SIGINT, SIGTERM}, [&](int) { filesystem->stop(); });
    if (const auto started = filesystem->start(); !started) {
        caller.tell_failed(started.error().message());
        status = exit_failed;
    } else {
        loop.run();
    }
    filesystem.reset();
    prepared->surroundings.reset();
    base::log_info("{} is unmounted", call.source);
    base::close_log();
    return status;
}

// The daemon leaves the directory it was called in, so names must not depend on it.
base::Result<void> resolve(Call& call) {
    for (const auto& list : call.option_lists) BASE_TRY(add_options(list, call.options));
    char resolved[PATH_MAX];
    struct stat status {};
    if (::realpath(call.mountpoint.c_str(), resolved) == nullptr) return base::errno_failure(errno, call.mountpoint);
    call.mountpoint = resolved;
    if (::stat(resolved, &status) == 0 && !S_ISDIR(status.st_mode)) {
        return base::failure(std::errc::not_a_directory, call.mountpoint);
    }
    if (!call.options.local) return {};
    if (::realpath(call.source.c_str(), resolved) == nullptr) return base::errno_failure(errno, call.source);
    call.source = resolved;
    return {};
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App app("Mounts a CFS filesystem: a replicated resource or, with -o local, a file or device.", "mount.cfs");
    Call call;
    bool ignored = false;
    std::string type;
    app.add_option("source", call.source, "resource, or file with -o local")->required();
    app.add_option("directory", call.mountpoint, "where")->required();
    app.add_option("-o,--options", call.option_lists, "mount options, separated by commas")->allow_extra_args(false);
    app.add_flag("-F,--foreground", call.foreground, "do not go into the background");
    app.add_flag("-f,--fake", call.fake, "do everything but mount");
    app.add_flag("-v,--verbose", call.verbose, "log more");
    app.add_flag("-n,-s", ignored, "accepted from mount(8)");
    app.add_option("-t", type, "accepted from mount(8)");
    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? exit_ok : exit_usage;
    }
    if (const auto resolved = resolve(call); !resolved) {
        std::fprintf(stderr, "mount.cfs: %s\n", resolved.error().message().c_str());
        return resolved.error().code == std::errc::invalid_argument ? exit_usage : exit_failed;
    }
    if (call.fake) return exit_ok;
    auto witness = call.options.local ? Witness() : Witness::split();
    auto caller = call.foreground ? Caller::foreground() : Caller::split();
    if (::chdir("/") != 0) return exit_system;
    return serve(call, std::move(caller), std::move(witness));
}
