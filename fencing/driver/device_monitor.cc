#include "fencing/driver/device_monitor.hh"

#include <algorithm>

#include "base/io/clock.hh"
#include "base/io/log.hh"

namespace fencing {
namespace {

constexpr auto retry_failed_after = base::Duration::seconds(10);

const char* text_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::power_on:
            return "on";
        case Verdict::power_off:
            return "off";
        case Verdict::done:
            return "ready";
        case Verdict::failed:
            return "failed";
    }
    return "?";
}

}  // namespace

DeviceMonitor::DeviceMonitor(base::EventLoop& loop, const Config& config, AgentRunner& runner)
    : loop_(loop), config_(config), runner_(runner) {
    if (config_.monitor_interval <= base::Duration{}) return;
    for (const auto& [name, device] : config_.devices) {
        if (!device.heuristic) next_checks_[name] = loop_.after({}, [this, &each = device] { check(each); });
    }
}

void DeviceMonitor::check(const Device& device) {
    runner_.run(device, "status", "", [this, name = device.name](const AgentEnd& end) {
        note(name, AgentAction::status, end);
        const bool failed = judge(AgentAction::status, end.exit, end.code) == Verdict::failed;
        const auto wait = failed ? std::min(retry_failed_after, config_.monitor_interval) : config_.monitor_interval;
        next_checks_[name] = loop_.after(wait, [this, name] { check(config_.devices.at(name)); });
    });
}

void DeviceMonitor::note(const std::string& device, AgentAction action, const AgentEnd& end) {
    Health health{judge(action, end.exit, end.code), end.output, base::monotonic_now(), end.took};
    if (end.exit == AgentExit::timed_out) health.text = "timed out";
    warn_of_change(device, health);
    health_[device] = std::move(health);
}

void DeviceMonitor::warn_of_change(const std::string& device, const Health& health) const {
    const auto before = health_.find(device);
    const bool was_good = before == health_.end() || before->second.verdict != Verdict::failed;
    const bool is_good = health.verdict != Verdict::failed;
    if (was_good && !is_good) base::log_warning("fence device {} does not work: {}", device, health.text);
    if (!was_good && is_good) base::log_info("fence device {} works again", device);
    const bool was_slow = before != health_.end() && is_too_slow(before->second);
    if (is_good && !was_slow && is_too_slow(health)) {
        base::log_warning("fence device {} took {} ms: when the pair splits, both nodes could be shot; raise the delay",
                          device, health.took.to_milliseconds());
    }
}

bool DeviceMonitor::is_too_slow(const Health& health) const {
    const auto limit = slowest_good_device(config_.settings);
    return limit && health.verdict != Verdict::failed && health.took > *limit;
}

void DeviceMonitor::describe(base::JsonWriter& out) const {
    out.begin_array();
    const auto now = base::monotonic_now();
    for (const auto& [name, device] : config_.devices) {
        out.begin_object().member("name", name).member("agent", device.agent);
        const auto found = health_.find(name);
        out.member("state", found == health_.end() ? "unchecked" : text_of(found->second.verdict));
        if (found != health_.end()) {
            out.member("checked_ms_ago", (now - found->second.when).to_milliseconds());
            out.member("took_ms", found->second.took.to_milliseconds());
            out.member("output", found->second.text).member("too_slow", is_too_slow(found->second));
        }
        out.end_object();
    }
    out.end_array();
}

}  // namespace fencing
