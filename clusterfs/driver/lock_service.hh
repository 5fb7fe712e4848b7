// Where a mount gets its locks from: the cluster's lock manager, or a stand-in when only this node mounts.
#pragma once

#include <functional>

#include "base/error.hh"
#include "base/json_writer.hh"
#include "base/node.hh"
#include "clusterfs/core/block.hh"

namespace clusterfs {

// request(), release() and release_dead() may be called on any thread, under the caller's mutex: they queue and return.
// The callbacks run on a thread of the implementation, never inside a call. For one lock, calls take effect in their
// order.
class LockService {
  public:
    struct Callbacks {
        std::function<void(LockName, LockMode)> granted;
        std::function<void(LockName)> refused;
        std::function<void(LockName, LockMode)> wanted;        // another node asks for that mode
        std::function<void(base::NodeIncarnation)> node_died;  // fenced; replay its journal, then release_dead()
        std::function<void(const base::Error&)> lost;          // locks can no longer be relied on
    };
    virtual ~LockService() = default;

    // Called once before anything else.
    virtual void start(Callbacks callbacks) = 0;
    virtual void request(LockName name, LockMode mode, bool no_queue, bool recovery) = 0;
    // The same for who can take the answer at once, which saves two changes of threads. `later`: a callback follows, as
    // after request(). Who answers at once must not have a `wanted` for that grant on its way before it.
    enum class Answer { granted, refused, later };
    virtual Answer try_request(LockName name, LockMode mode, bool no_queue, bool recovery) {
        request(name, mode, no_queue, recovery);
        return Answer::later;
    }
    virtual void release(LockName name, LockMode keep) = 0;
    virtual void release_dead(const base::NodeIncarnation& node) = 0;
    // After the last release(): leaves; `left` runs once nothing of us is known to others any more.
    virtual void leave(std::function<void()> left) = 0;
    virtual void describe(base::JsonWriter& json) const = 0;
};

}  // namespace clusterfs
