#include "fencing/core/operation.hh"

namespace fencing {

void Operation::describe(base::NodeId victim, base::Instant now, base::JsonWriter& out) const {
    out.begin_object();
    out.member("victim", victim.value).member("waited_ms", (now - since).to_milliseconds());
    out.member("state", !executors.empty() ? "executing" : attempts > 0 ? "retrying" : "waiting");
    out.member("failed_attempts", attempts);
    out.key("executors").begin_array();
    for (const auto executor : executors) out.value(executor.value);
    out.end_array();
    if (executors.empty()) {
        out.member("next_attempt_ms", ready_at > now ? (ready_at - now).to_milliseconds() : std::int64_t{0});
    }
    out.member("last_failure", last_failure);
    out.key("requests").begin_array();
    for (const auto& [key, asked] : requests) {
        out.begin_object();
        out.member("member", key.first.value);
        out.member("incarnation", key.second.is_nil() ? std::string() : key.second.text());
        out.member("asker", asked.asker).member("reason", asked.reason).end_object();
    }
    out.end_array().end_object();
}

}  // namespace fencing
