// "Is this machine on?", asked of all its devices, for an operator; decides nothing.
#pragma once

#include <functional>
#include <string>

#include "fencing/core/settings.hh"
#include "fencing/core/verdict.hh"
#include "fencing/driver/agent_runner.hh"

namespace fencing {

class PowerQueries {
  public:
    // power_on when a device says on, power_off when all devices say off, else failed; `detail` is what each said.
    using Answer = std::function<void(Verdict verdict, const std::string& detail)>;

    PowerQueries(const Config& config, AgentRunner& runner) : config_(config), runner_(runner) {}
    void ask(base::NodeId node, Answer answer);

  private:
    const Config& config_;
    AgentRunner& runner_;
};

}  // namespace fencing
