// cfs-fenced, the fencing daemon of one node. Stays in the foreground and logs to standard error.
// Exit status: 0 ended by a signal, 1 cannot run, 64 wrong usage, 78 wrong configuration.
#include <signal.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/io/io_path_protection.hh"
#include "base/io/log.hh"
#include "fencing/driver/daemon.hh"
#include "fencing/format/error.hh"

namespace {

// Reads the file as far as that goes without Corosync.
int check_config(const std::string& path) {
    const auto cluster = base::configured_nodes();
    const auto config = fencing::read_config(path, cluster ? *cluster : std::vector<base::ConfiguredNode>{});
    if (!config) {
        std::fprintf(stderr, "cfs-fenced: %s\n", config.error().message().c_str());
        return EX_CONFIG;
    }
    bool sound = true;
    for (const auto& [name, device] : config->devices) {
        const auto agent = fencing::find_agent(device.agent);
        if (agent) continue;
        std::fprintf(stderr, "cfs-fenced: device %s: %s\n", name.c_str(), agent.error().message().c_str());
        sound = false;
    }
    for (const auto& warning : config->warnings) std::fprintf(stderr, "cfs-fenced: %s\n", warning.c_str());
    if (cluster) {
        const auto self = base::local_node();
        const auto hint = fencing::missing_devices(*config, self ? *self : base::NodeId{}, *cluster);
        if (!hint.empty()) std::fprintf(stderr, "cfs-fenced: %s\n", hint.c_str());
        sound = sound && hint.empty();
    }
    return sound ? EX_OK : EX_CONFIG;
}

// Starts the daemon as soon as Corosync answers; an Error that waiting does not heal ends the program.
class Starter {
  public:
    explicit Starter(base::EventLoop& loop) : loop_(loop) {
        timer_ = loop_.after({}, [this] { attempt(); });
    }
    int status() const { return status_; }

  private:
    void attempt() {
        auto daemon = fencing::Daemon::start(loop_, fencing::DaemonPaths::standard());
        if (daemon) {
            daemon_ = *std::move(daemon);
            return;
        }
        const auto& error = daemon.error();
        if (error.code == std::errc::not_connected) {
            if (!waiting_) base::log_info("waiting: {}", error.message());
            waiting_ = true;
            timer_ = loop_.after(base::Duration::milliseconds(200), [this] { attempt(); });
            return;
        }
        base::log_error("{}", error.message());
        status_ = error.code == fencing::Errc::bad_config ? EX_CONFIG : 1;
        loop_.stop();
    }

    base::EventLoop& loop_;
    base::EventLoop::Handle timer_;
    std::unique_ptr<fencing::Daemon> daemon_;
    bool waiting_ = false;
    int status_ = EX_OK;
};

int run() {
    ::umask(0027);
    for (const auto& line : base::protect_io_path()) base::log_warning("{}", line);
    base::EventLoop loop;
    const auto signals = loop.on_signals({SIGINT, SIGTERM}, [&](int) { loop.stop(); });
    int status = EX_OK;
    {
        Starter starter(loop);
        loop.run();
        status = starter.status();
    }
    base::close_log();
    return status;
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App app("Decides which node is dead and makes sure of it; configured in /etc/cfs/fencing.toml.", "cfs-fenced");
    std::string file;
    bool verbose = false;
    app.add_flag("-v,--verbose", verbose, "log more");
    const auto* check = app.add_option("--check", file, "read this fencing.toml, say what is wrong in it, end");
    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? EX_OK : EX_USAGE;
    }
    if (check->count() > 0) return check_config(file);
    base::open_log("cfs-fenced", "", verbose ? base::LogLevel::debug : base::LogLevel::info);
    return run();
}
