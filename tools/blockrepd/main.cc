// blockrepd, the replicated block devices of one node. Stays in the foreground and logs to standard error.
// Exit status: 0 ended by a signal, 1 cannot run, 64 wrong usage.
#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <optional>

#include "base/io/cpu_latency.hh"
#include "base/io/io_path_protection.hh"
#include "base/io/log.hh"
#include "blockrep/driver/daemon.hh"
#include "fenced_node_names.hh"

namespace {

constexpr auto orderly_end = base::Duration::seconds(8);

struct Arguments {
    blockrep::DaemonOptions daemon = blockrep::DaemonOptions::standard();
    std::string nbd_tcp;
    bool no_fencing = false;
    bool powersave = false;
    bool verbose = false;
};

// "10.0.0.1:10809" or "[::1]:10809".
std::optional<base::PeerEndpoint> parse_endpoint(const std::string& text) {
    const auto colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0) return std::nullopt;
    auto host = text.substr(0, colon);
    if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    const auto port = std::strtoul(text.c_str() + colon + 1, nullptr, 10);
    if (port == 0 || port > 65535) return std::nullopt;
    return base::PeerEndpoint{host, static_cast<std::uint16_t>(port)};
}

// Buffers of requests are up to megabytes: memory that was touched once is kept, fresh pages cost more than the copy.
void keep_memory() {
    ::mallopt(M_MMAP_THRESHOLD, 64 << 20);
    ::mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

// The peer may have gone on without us: not one byte more may be written or acknowledged. (An operator's wrong
// confirmation, or a fence that cut us off without killing us.)
void end_when_held_for_dead(fencing::FenceClient& fence) {
    fence.on_fenced([&fence](const base::NodeIncarnation& dead) {
        if (fence.state().self != dead) return;
        base::log_error("this node is held for dead by its group: blockrepd ends at once; reboot the node");
        base::close_log();
        ::_exit(EX_UNAVAILABLE);
    });
}

int run(Arguments arguments) {
    ::umask(0027);
    keep_memory();
    for (const auto& line : base::protect_io_path()) base::log_warning("{}", line);
    std::optional<base::CpuLatencyRequest> cpu_latency;
    if (!arguments.powersave) cpu_latency.emplace();
    base::EventLoop loop;
    std::unique_ptr<fencing::FenceClient> fence;
    std::unique_ptr<blockrep::NodeNames> names;
    auto& options = arguments.daemon;
    options.fencing = !arguments.no_fencing;
    if (options.fencing) {
        fence = std::make_unique<fencing::FenceClient>(loop, "blockrepd");
        names = std::make_unique<FencedNodeNames>(*fence);
        options.gate = fence.get();
        end_when_held_for_dead(*fence);
    } else {
        base::log_warning("running without fencing: a lost link ends in split brain");
        names = std::make_unique<blockrep::UnfencedNodeNames>();
    }
    options.names = names.get();

    auto daemon = blockrep::Daemon::start(loop, options);
    if (!daemon) {
        base::log_error("{}", daemon.error().message());
        base::close_log();
        return 1;
    }
    const auto signals = loop.on_signals({SIGINT, SIGTERM}, [&](int) {
        base::log_info("ending: leaving the peers in good order");
        (*daemon)->shut_down(orderly_end, [&] { loop.stop(); });
    });
    base::log_info("ready");
    loop.run();
    daemon->reset();
    base::close_log();
    return EX_OK;
}

}  // namespace

int main(int count, char** values) {
    CLI::App app("Replicated block devices; resources are configured in /etc/blockrep.conf.", "blockrepd");
    Arguments arguments;
    app.add_option("-c,--config", arguments.daemon.config_path, "the configuration, in drbd.conf's grammar");
    app.add_option("--nbd-tcp", arguments.nbd_tcp, "serve NBD, without authentication, on ADDRESS:PORT too");
    app.add_flag("--no-fencing", arguments.no_fencing,
                 "TESTS ONLY: go on alone without proof that the peer is dead; data can diverge");
    app.add_flag("--powersave", arguments.powersave, "let processors sleep between requests: slower, cooler");
    app.add_flag("-v,--verbose", arguments.verbose, "log more");
    try {
        app.parse(count, values);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? EX_OK : EX_USAGE;
    }
    if (!arguments.nbd_tcp.empty()) {
        arguments.daemon.nbd_tcp = parse_endpoint(arguments.nbd_tcp);
        if (!arguments.daemon.nbd_tcp) {
            std::fprintf(stderr, "blockrepd: --nbd-tcp %s: write ADDRESS:PORT\n", arguments.nbd_tcp.c_str());
            return EX_USAGE;
        }
    }
    base::open_log("blockrepd", "", arguments.verbose ? base::LogLevel::debug : base::LogLevel::info);
    return run(std::move(arguments));
}
