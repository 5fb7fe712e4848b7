// What the end of an agent's run means: one table.
#pragma once

#include "fencing/core/action.hh"

namespace fencing {

enum class Verdict {
    done,       // off or on: the agent says it is done
    power_off,  // status: the machine is off
    power_on,   // status: the machine is on
    failed,     // anything else: a timeout, a crash, an unknown code. Never a success
};

Verdict judge(AgentAction action, AgentExit exit, int code);

}  // namespace fencing
