// The one answer to "is this node, in this life, known to be dead or cut off?" that blockrep and dlm recover behind.
#pragma once

#include <functional>
#include <string>

#include "base/node.hh"

namespace base {

// Implemented by fencing (over cfs-fenced) and by the simulator. All calls and callbacks are made on one thread, the
// one that drives the caller; the callback is never called from inside request_fence().
class FenceGate {
  public:
    virtual ~FenceGate() = default;

    // Asks that `victim` be made provably dead. Idempotent: many askers, one power off. There is no time limit and no
    // failure answer: until it is certain, nothing is answered and the caller stays frozen (status shows what is
    // tried). `reason` is for people ("replication link to b lost").
    virtual void request_fence(const NodeIncarnation& victim, const std::string& reason) = 0;

    // The peer is back in the same life and nothing was lost: the asker no longer needs it dead. The fence may
    // nevertheless have happened or be under way.
    virtual void withdraw_fence(const NodeIncarnation& victim) = 0;

    // `go_on` is called once, later, when no other node may be at work out of reach: each was in the group of the gate,
    // had left it in good order, or was known to be dead, at some moment after this call, by news at least as new as
    // what any group of the node had told before the call. While somebody is missing it is not called; nobody is shot
    // for it. For who would begin as the first one.
    virtual void when_nobody_is_missing(std::function<void()> go_on) = 0;

    // Called once for each incarnation that became known as dead or cut off, also when somebody else asked for it.
    // Late subscribers get everything that is known.
    using FencedCallback = std::function<void(const NodeIncarnation& dead)>;
    virtual void on_fenced(FencedCallback callback) = 0;
};

}  // namespace base
