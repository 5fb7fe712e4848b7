// The core's side of the daemon: events in, actions out.
#include "fencing/driver/daemon.hh"

#include <sys/reboot.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/io/clock.hh"
#include "base/io/log.hh"
#include "fencing/driver/fence_client.hh"
#include "fencing/driver/incarnation_file.hh"

namespace fencing {
namespace {

// Every node of the cluster can be named, confirmed dead and shown, also one without devices.
void add_nodes_without_devices(Config& config, const std::vector<base::ConfiguredNode>& cluster) {
    for (const auto& node : cluster) {
        auto& plan = config.settings.nodes[node.id];
        if (plan.name.empty()) plan.name = node.name.empty() ? std::to_string(node.id.value) : node.name;
    }
}

base::Result<Config> load_config(const std::string& path, const std::vector<base::ConfiguredNode>& cluster) {
    auto config = read_config(path, cluster);
    if (!config && config.error().code != std::errc::no_such_file_or_directory) return config;
    if (!config) {
        base::log_error("{}: nobody can be fenced", config.error().message());
        config = Config{};
        config->file = path;
    }
    for (const auto& warning : config->warnings) base::log_warning("{}", warning);
    for (const auto& [name, device] : config->devices) {
        if (const auto agent = find_agent(device.agent); !agent) {
            base::log_error("device {}: {}", name, agent.error().message());
        }
    }
    add_nodes_without_devices(*config, cluster);
    return config;
}

Settings with_self(Settings settings, base::NodeId self) {
    settings.self = self;
    return settings;
}

}  // namespace

DaemonPaths DaemonPaths::standard() {
    return {config_path(), fenced_socket_path(), incarnation_path(), history_path()};
}

base::Result<std::unique_ptr<Daemon>> Daemon::start(base::EventLoop& loop, const DaemonPaths& paths) {
    BASE_ASSIGN(const auto self, base::local_node());
    BASE_ASSIGN(auto cluster, base::configured_nodes());
    BASE_ASSIGN(auto config, load_config(paths.config, cluster));
    config.settings.self = self;
    BASE_ASSIGN(const auto life, this_life(paths.incarnation));
    PastHistory past;
    auto history = HistoryFile::open(paths.history, past);
    if (past.damaged > 0) base::log_warning("{}: {} damaged lines were dropped", paths.history, past.damaged);
    std::unique_ptr<Daemon> daemon(
        new Daemon(loop, std::move(config), std::move(cluster), life, std::move(history), past.entries));
    BASE_ASSIGN(daemon->server_,
                base::ControlServer::listen(loop, paths.socket,
                                            [raw = daemon.get()](const auto& request, const auto& caller, auto reply) {
                                                raw->on_request(request, caller, reply);
                                            }));
    daemon->group_ = std::make_unique<GroupLink>(loop, [raw = daemon.get()](const Event& event) { raw->step(event); });
    base::log_info("node {} lives as {}", self.value, life.text());
    return daemon;
}

Daemon::Daemon(base::EventLoop& loop, Config config, std::vector<base::ConfiguredNode> cluster, const base::Uuid& life,
               std::unique_ptr<HistoryFile> history, const std::vector<HistoryEntry>& past)
    : loop_(loop),
      config_(std::move(config)),
      cluster_(std::move(cluster)),
      self_{config_.settings.self, life},
      history_(std::move(history)),
      runner_(loop),
      monitor_(loop, config_, runner_),
      queries_(config_, runner_),
      fencer_(with_self(config_.settings, self_.node), life, past) {}

Daemon::~Daemon() = default;

void Daemon::step(const Event& event) {
    Actions actions;
    fencer_.step(event, base::monotonic_now(), actions);
    fencer_.check_invariants();
    for (const auto& action : actions) perform(action);
    subscribers_.tell_members(fencer_);
    arm_timer();
}

void Daemon::arm_timer() {
    const auto deadline = fencer_.next_deadline();
    if (!deadline) return timer_.reset();
    const auto wait = std::max(*deadline - base::monotonic_now(), base::Duration{});
    timer_ = loop_.after(wait, [this] { step(TimePassed{base::wall_now()}); });
}

void Daemon::perform(const Action& action) {
    std::visit([this](const auto& each) { carry_out(each); }, action);
}

void Daemon::carry_out(const Multicast& action) { group_->multicast(action.message); }

void Daemon::carry_out(const RunAgent& action) {
    const auto device = config_.devices.find(action.device);
    const auto& victim = config_.settings.nodes.at(action.victim).name;
    base::log_info("{}: asking {} for {}", victim, action.device, text_of(action.action));
    runner_.run(device->second, text_of(action.action), victim, [this, action](const AgentEnd& end) {
        monitor_.note(action.device, action.action, end);
        step(AgentFinished{action.run, end.exit, end.code, end.output, base::wall_now()});
    });
}

void Daemon::carry_out(const ReportFenced& action) {
    base::log_warning("dead: node {} {}", action.dead.node.value,
                      action.dead.incarnation.is_nil() ? "(whichever life)" : action.dead.incarnation.text());
    subscribers_.tell_dead(action.dead);
}

void Daemon::carry_out(const RecordHistory& action) { history_->append(action.entry); }

void Daemon::carry_out(const AnswerOperator& action) {
    const auto question = questions_.extract(action.question);
    if (question.empty()) return;
    if (!action.ok) return question.mapped().error(action.text);
    question.mapped().ok_raw("result", base::JsonWriter().value(action.text).text());
}

void Daemon::carry_out(const AnswerAbsence& action) {
    const auto question = questions_.extract(action.question);
    if (!question.empty())
        question.mapped().line(boost::json::serialize(boost::json::object{{"event", "nobody missing"}}));
}

void Daemon::carry_out(const ReportOwnDeath&) {
    base::log_error("the group holds this living machine for dead: it must not go on; restart it");
    if (config_.own_death != OwnDeath::reboot) return;
    base::close_log();
    ::reboot(RB_AUTOBOOT);
}

void Daemon::carry_out(const Note& action) { base::log_info("{}", action.line); }

}  // namespace fencing
