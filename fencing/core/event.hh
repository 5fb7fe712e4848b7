// Everything that the fencing core reacts to.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/group_messenger.hh"
#include "base/node.hh"
#include "base/time.hh"
#include "fencing/format/message.hh"

namespace fencing {

using ClientId = std::string;      // one connection of a local program, for as long as it asks
using RunId = std::uint64_t;       // one run of an agent
using QuestionId = std::uint64_t;  // one operator's command that awaits an answer

// A local program (blockrepd, mount.cfs) asks that `victim` be made provably dead. A nil incarnation: any life.
struct FenceRequested {
    ClientId client;
    base::NodeIncarnation victim;
    std::string reason;
    std::string asker;
};
struct FenceWithdrawn {
    ClientId client;
    base::NodeIncarnation victim;
};
// The program ended or hung up: whatever it asked for is withdrawn.
struct ClientGone {
    ClientId client;
};

struct MessageDelivered {
    base::GroupMember sender;
    Message message;
};
// Also with no members at all, when the connection to the group is lost.
struct ViewChanged {
    base::GroupView view;
};
struct QuorumChanged {
    bool quorate = false;
};

enum class AgentExit {
    exited,     // by itself, with a code
    timed_out,  // killed at its timeout
    crashed,    // ended by a signal
    not_run,    // could not be started
    unclear,    // status: its exit status says off, what it printed does not
};
struct AgentFinished {
    RunId run = 0;
    AgentExit exit = AgentExit::exited;
    int code = 0;
    std::string output;  // last line, without secrets
    base::WallTime wall;
};

// A person states that the machine is powered off.
struct OperatorConfirmed {
    QuestionId question = 0;
    base::NodeId node;
    std::string who;
    base::WallTime wall;
};
enum class PowerOrder { off, on };
// A person orders power off (verified) or on, whatever the members think.
struct PowerOrdered {
    QuestionId question = 0;
    base::NodeId node;
    PowerOrder order = PowerOrder::off;
    std::string who;
};
// A program must not go on as the first one as long as another node may be at work out of reach.
struct AbsenceAsked {
    QuestionId question = 0;
};
struct TimePassed {
    base::WallTime wall;
};

using Event = std::variant<FenceRequested, FenceWithdrawn, ClientGone, MessageDelivered, ViewChanged, QuorumChanged,
                           AgentFinished, OperatorConfirmed, PowerOrdered, AbsenceAsked, TimePassed>;

}  // namespace fencing
