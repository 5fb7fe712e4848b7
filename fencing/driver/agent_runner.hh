// Runs fence agents as child processes: options as key=value lines on standard input, a process group of its own, no
// more time than the device's timeout.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/error.hh"
#include "base/io/event_loop.hh"
#include "fencing/core/action.hh"
#include "fencing/driver/config.hh"

namespace fencing {

struct AgentEnd {
    AgentExit exit = AgentExit::not_run;
    int code = 0;        // exit status or signal
    std::string output;  // its last line, passwords blotted out
    base::Duration took;
};

// Where `agent` is: a path as it stands; else next to this program, in $CFS_AGENT_DIR, in /usr/sbin.
base::Result<std::string> find_agent(const std::string& agent);

// The lines that an agent reads. A password_file is read here for agents that know no such option.
base::Result<std::string> agent_input(const Device& device, const std::string& action, const std::string& victim);

// Loop thread only. What runs when the runner is destroyed is killed.
class AgentRunner {
  public:
    using Finished = std::function<void(const AgentEnd&)>;

    explicit AgentRunner(base::EventLoop& loop);
    ~AgentRunner();
    // `finished` is called once, from the loop, also when the agent could not be started.
    void run(const Device& device, const std::string& action, const std::string& victim, Finished finished);

  private:
    class Child;
    void forget(Child* child);

    base::EventLoop& loop_;
    std::map<Child*, std::shared_ptr<Child>> children_;
};

}  // namespace fencing
