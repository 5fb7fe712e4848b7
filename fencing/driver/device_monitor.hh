// Asks every fence device now and then for the power state (one that fails: sooner), so that a dead one is noticed
// before it is needed.
#pragma once

#include <map>
#include <string>

#include "base/io/event_loop.hh"
#include "base/json_writer.hh"
#include "fencing/core/verdict.hh"
#include "fencing/driver/agent_runner.hh"

namespace fencing {

class DeviceMonitor {
  public:
    // `config` and `runner` must outlive it.
    DeviceMonitor(base::EventLoop& loop, const Config& config, AgentRunner& runner);

    // What an agent said, whoever ran it.
    void note(const std::string& device, AgentAction action, const AgentEnd& end);
    // One array element for each device.
    void describe(base::JsonWriter& out) const;

  private:
    struct Health {
        Verdict verdict = Verdict::failed;
        std::string text;
        base::Instant when;
        base::Duration took;
    };
    void check(const Device& device);
    bool is_too_slow(const Health& health) const;
    void warn_of_change(const std::string& device, const Health& health) const;

    base::EventLoop& loop_;
    const Config& config_;
    AgentRunner& runner_;
    std::map<std::string, Health> health_;
    std::map<std::string, base::EventLoop::Handle> next_checks_;
};

}  // namespace fencing
