// The socket's side of the daemon: requests of programs and operators.
#include <pwd.h>

#include <boost/json.hpp>

#include "base/io/clock.hh"
#include "base/io/json_text.hh"
#include "fencing/driver/daemon.hh"
#include "fencing/driver/life_text.hh"
#include "fencing/driver/report.hh"

namespace fencing {
namespace {

ClientId client_of(const base::ControlCaller& caller) { return std::to_string(caller.connection); }

std::string user_name(uid_t user) {
    passwd entry{};
    passwd* found = nullptr;
    char buffer[4096];
    if (::getpwuid_r(user, &entry, buffer, sizeof buffer, &found) == 0 && found != nullptr) return found->pw_name;
    return "user " + std::to_string(user);
}

}  // namespace

void Daemon::on_request(const boost::json::object& request, const base::ControlCaller& caller,
                        const base::ControlReply& reply) {
    const auto command = base::text_member(request, "command").value_or("");
    if (command == "subscribe") return subscribe(request, caller, reply);
    if (command == "fence" || command == "withdraw") return ask_or_withdraw(request, caller, reply);
    if (command == "nobody missing") {
        const auto question = next_question_++;
        questions_.emplace(question, reply);
        return step(AbsenceAsked{question});
    }
    if (command == "configured") return answer_configured(reply);
    if (command == "status") return answer_status(reply);
    if (command == "history") return answer_history(reply);
    if (command == "off" || command == "on" || command == "confirm" || command == "power") {
        return operate(command, request, caller, reply);
    }
    reply.error("unknown command " + command);
}

void Daemon::subscribe(const boost::json::object& request, const base::ControlCaller& caller,
                       const base::ControlReply& reply) {
    const auto program = base::text_member(request, "program").value_or("").substr(0, 64);
    if (program.empty()) return reply.error("subscribe needs a program's name");
    if (subscribers_.program(caller.connection).empty()) {
        reply.on_hang_up([this, caller] {
            subscribers_.remove(caller.connection);
            step(ClientGone{client_of(caller)});
        });
    }
    subscribers_.add(caller.connection, program, reply, self_, fencer_);
}

void Daemon::ask_or_withdraw(const boost::json::object& request, const base::ControlCaller& caller,
                             const base::ControlReply& reply) {
    const auto program = subscribers_.program(caller.connection);
    if (program.empty()) return reply.error("subscribe first: a request ends with its connection");
    const auto victim = life_members(request);
    if (!victim) return reply.error("the request names no life: node and incarnation");
    if (!config_.settings.nodes.contains(victim->node)) {
        return reply.error("node " + std::to_string(victim->node.value) + " is not in the cluster");
    }
    if (victim->node == self_.node) return reply.error("a node cannot fence itself");
    if (base::text_member(request, "command") == "withdraw") return step(FenceWithdrawn{client_of(caller), *victim});
    const auto& own_name = config_.settings.nodes.at(self_.node).name;
    step(FenceRequested{client_of(caller), *victim, base::text_member(request, "reason").value_or("").substr(0, 200),
                        program + " on " + own_name});
}

void Daemon::answer_configured(const base::ControlReply& reply) const {
    const auto hint = missing_devices(config_, self_.node, cluster_);
    std::string missing;
    for (const auto node : fencer_.missing()) {
        missing += (missing.empty() ? "" : ", ") + config_.settings.nodes.at(node).name;
    }
    boost::json::object members{{"configured", hint.empty()}, {"hint", hint}, {"missing", missing}};
    add_life(members, self_);
    reply.ok(std::move(members));
}

void Daemon::answer_status(const base::ControlReply& reply) const {
    base::JsonWriter out;
    out.begin_object().member("name", config_.settings.nodes.at(self_.node).name);
    const auto hint = missing_devices(config_, self_.node, cluster_);
    out.member("configured", hint.empty()).member("hint", hint);
    out.key("devices");
    monitor_.describe(out);
    out.key("subscribers");
    subscribers_.describe(out);
    out.key("fencing");
    fencer_.describe(base::monotonic_now(), out);
    out.end_object();
    reply.ok_raw("status", out.text());
}

void Daemon::answer_history(const base::ControlReply& reply) const {
    base::JsonWriter out;
    describe_history(fencer_.history(), config_.settings, out);
    reply.ok_raw("history", out.text());
}

std::optional<base::NodeId> Daemon::named_node(const boost::json::object& request) const {
    const auto name = base::text_member(request, "node").value_or("");
    for (const auto& [node, plan] : config_.settings.nodes) {
        if (plan.name == name || std::to_string(node.value) == name) return node;
    }
    return std::nullopt;
}

void Daemon::operate(const std::string& command, const boost::json::object& request, const base::ControlCaller& caller,
                     const base::ControlReply& reply) {
    const auto node = named_node(request);
    if (!node) return reply.error("no node " + base::text_member(request, "node").value_or("") + " in the cluster");
    if (command == "power") {
        return queries_.ask(*node, [reply](Verdict verdict, const std::string& detail) {
            if (verdict == Verdict::failed) return reply.error(detail);
            reply.ok({{"power", verdict == Verdict::power_on ? "on" : "off"}, {"detail", detail}});
        });
    }
    const auto question = next_question_++;
    questions_.emplace(question, reply);
    const auto who = "operator " + user_name(caller.user) + " on " + config_.settings.nodes.at(self_.node).name;
    if (command == "confirm") return step(OperatorConfirmed{question, *node, who, base::wall_now()});
    step(PowerOrdered{question, *node, command == "off" ? PowerOrder::off : PowerOrder::on, who});
}

}  // namespace fencing
