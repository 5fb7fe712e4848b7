// Everything that a lockspace asks its driver to do, in order.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "dlm/core/event.hh"

namespace dlm {

// ---- to the client -------------------------------------------------------------------------------------------------
struct Completed {
    LockId lock = 0;
    OperationId operation = 0;
    Outcome outcome = Outcome::granted;
    Mode mode = Mode::NL;  // granted mode; of no meaning for a new lock that was not granted (it is gone)
    bool demoted = false;  // in between nothing was held: what the old mode protected may have changed
    std::optional<Value> value;
};
// Somebody waits for what this lock holds. May come again; never for a mode that the lock does not bar.
struct BlockingNotice {
    LockId lock = 0;
    Mode wanted = Mode::NL;
};
enum class NodePhase {
    joined,
    left,
    died,       // not certified yet: nothing is granted
    fenced,     // certified by the gate
    recovered,  // locks are rebuilt; repair what it left, then DeadReleaseRequested
};
std::string_view text_of(NodePhase phase);
struct NodeNotice {
    base::NodeIncarnation life;
    NodePhase phase = NodePhase::joined;
};
// Nothing that this process holds can be relied on; terminal.
struct Lost {
    std::string why;
};
// Nobody knows us any more: the group may be left. Terminal.
struct Left {};

// ---- to the group, the gate, the peers -----------------------------------------------------------------------------
struct Multicast {
    GroupMessage message;
};
struct RequestFence {
    base::NodeIncarnation life;
};
struct WithdrawFence {
    base::NodeIncarnation life;
};
// NobodyMissing is to follow, with this number, when no other node may be at work out of reach.
struct AwaitNobodyMissing {
    std::uint64_t question = 0;
};
// Keep a link to this session from now on.
struct OpenLink {
    Member peer;
};
struct CloseLink {
    base::Uuid session;
};
struct SendToPeer {
    base::Uuid session;
    PeerMessage message;
};
// For the log.
struct Note {
    std::string line;
};

using Action = std::variant<Completed, BlockingNotice, NodeNotice, Lost, Left, Multicast, RequestFence, WithdrawFence,
                            AwaitNobodyMissing, OpenLink, CloseLink, SendToPeer, Note>;
using Actions = std::vector<Action>;

}  // namespace dlm
