// cfs-fenced: the core, its agents, its group, its files and its socket on one event loop.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/io/control_server.hh"
#include "base/io/event_loop.hh"
#include "fencing/core/fencer.hh"
#include "fencing/driver/agent_runner.hh"
#include "fencing/driver/config.hh"
#include "fencing/driver/device_monitor.hh"
#include "fencing/driver/group_link.hh"
#include "fencing/driver/history_file.hh"
#include "fencing/driver/power_query.hh"
#include "fencing/driver/subscribers.hh"

namespace fencing {

struct DaemonPaths {
    std::string config;
    std::string socket;
    std::string incarnation;
    std::string history;
    static DaemonPaths standard();
};

class Daemon {
  public:
    // Needs Corosync, to know which node this is. Without fencing.toml it runs and says so; with a wrong one it does
    // not.
    static base::Result<std::unique_ptr<Daemon>> start(base::EventLoop& loop, const DaemonPaths& paths);
    ~Daemon();

  private:
    Daemon(base::EventLoop& loop, Config config, std::vector<base::ConfiguredNode> cluster, const base::Uuid& life,
           std::unique_ptr<HistoryFile> history, const std::vector<HistoryEntry>& past);

    // The core.
    void step(const Event& event);
    void arm_timer();
    void perform(const Action& action);
    void carry_out(const Multicast& action);
    void carry_out(const RunAgent& action);
    void carry_out(const ReportFenced& action);
    void carry_out(const RecordHistory& action);
    void carry_out(const AnswerOperator& action);
    void carry_out(const AnswerAbsence& action);
    void carry_out(const ReportOwnDeath& action);
    void carry_out(const Note& action);

    // The socket.
    void on_request(const boost::json::object& request, const base::ControlCaller& caller,
                    const base::ControlReply& reply);
    void subscribe(const boost::json::object& request, const base::ControlCaller& caller,
                   const base::ControlReply& reply);
    void ask_or_withdraw(const boost::json::object& request, const base::ControlCaller& caller,
                         const base::ControlReply& reply);
    void answer_configured(const base::ControlReply& reply) const;
    void answer_status(const base::ControlReply& reply) const;
    void answer_history(const base::ControlReply& reply) const;
    void operate(const std::string& command, const boost::json::object& request, const base::ControlCaller& caller,
                 const base::ControlReply& reply);
    std::optional<base::NodeId> named_node(const boost::json::object& request) const;

    base::EventLoop& loop_;
    const Config config_;
    const std::vector<base::ConfiguredNode> cluster_;
    const base::NodeIncarnation self_;
    std::unique_ptr<HistoryFile> history_;
    AgentRunner runner_;
    DeviceMonitor monitor_;
    PowerQueries queries_;
    Fencer fencer_;
    Subscribers subscribers_;
    std::map<QuestionId, base::ControlReply> questions_;
    QuestionId next_question_ = 1;
    base::EventLoop::Handle timer_;
    std::unique_ptr<base::ControlServer> server_;
    std::unique_ptr<GroupLink> group_;
};

}  // namespace fencing
