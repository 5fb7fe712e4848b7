#include "fencing/driver/report.hh"

#include <fmt/core.h>
#include <time.h>

namespace fencing {
namespace {

std::string name_of(base::NodeId node, const Settings& settings) {
    const auto found = settings.nodes.find(node);
    return found == settings.nodes.end() ? std::to_string(node.value) : found->second.name;
}

void describe_entry(const HistoryEntry& entry, const Settings& settings, base::JsonWriter& out) {
    out.begin_object();
    out.member("node", name_of(entry.victim, settings)).member("nodeid", entry.victim.value);
    out.member("outcome", text_of(entry.outcome)).member("by", name_of(entry.executor, settings));
    out.member("asker", entry.asker).member("reason", entry.reason).member("detail", entry.detail);
    out.member("attempt", entry.attempt + 1);
    out.member("seen", time_text(entry.seen)).member("requested", time_text(entry.requested));
    out.member("started", time_text(entry.started));
    // Nothing was verified when it failed, nor when a person said so.
    out.member(entry.outcome == Outcome::fenced ? "verified" : "ended", time_text(entry.finished));
    out.member("duration_ms", (entry.finished.nanoseconds - entry.started.nanoseconds) / 1'000'000);
    out.key("dead").begin_array();
    for (const auto& life : entry.dead) out.value(life.text());
    out.end_array().end_object();
}

}  // namespace

std::string time_text(base::WallTime time) {
    const auto milliseconds = time.nanoseconds / 1'000'000;
    const time_t seconds = milliseconds / 1000;
    tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, milliseconds % 1000);
}

void describe_history(const History& history, const Settings& settings, base::JsonWriter& out) {
    out.begin_array();
    for (const auto& entry : history.entries()) describe_entry(entry, settings, out);
    out.end_array();
}

}  // namespace fencing
