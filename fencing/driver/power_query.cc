#include "fencing/driver/power_query.hh"

#include <memory>
#include <set>

namespace fencing {
namespace {

struct Query {
    PowerQueries::Answer answer;
    std::size_t waiting = 0;
    bool any_on = false;
    bool any_failed = false;
    std::string detail;

    void add(const std::string& device, const AgentEnd& end) {
        const auto verdict = judge(AgentAction::status, end.exit, end.code);
        any_on = any_on || verdict == Verdict::power_on;
        any_failed = any_failed || verdict == Verdict::failed;
        if (!detail.empty()) detail += "; ";
        detail += device + ": ";
        if (verdict != Verdict::failed) {
            detail += verdict == Verdict::power_on ? "on" : "off";
        } else {
            detail += end.exit == AgentExit::timed_out ? "timed out" : end.output;
        }
        if (--waiting > 0) return;
        answer(any_on ? Verdict::power_on : any_failed ? Verdict::failed : Verdict::power_off, detail);
    }
};

}  // namespace

void PowerQueries::ask(base::NodeId node, Answer answer) {
    std::set<std::string> names;
    const auto plan = config_.settings.nodes.find(node);
    if (plan != config_.settings.nodes.end()) {
        for (const auto& level : plan->second.levels) names.insert(level.begin(), level.end());
    }
    std::erase_if(names, [&](const auto& name) { return config_.devices.at(name).heuristic; });
    if (names.empty()) return answer(Verdict::failed, "no fence device is configured for it");
    const auto query = std::make_shared<Query>();
    query->answer = std::move(answer);
    query->waiting = names.size();
    for (const auto& name : names) {
        runner_.run(config_.devices.at(name), "status", plan->second.name,
                    [query, name](const AgentEnd& end) { query->add(name, end); });
    }
}

}  // namespace fencing
