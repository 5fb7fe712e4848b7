// A lockspace in a process: the core with its loop, its group, its links to the other members and the fence gate.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/error.hh"
#include "base/fence_gate.hh"
#include "base/group_messenger.hh"
#include "base/io/event_loop.hh"
#include "base/json_writer.hh"
#include "dlm/core/action.hh"

namespace dlm {

struct LockspaceOptions {
    std::string name;            // of the lockspace: the same on all nodes, 1 to 64 bytes
    base::NodeIncarnation self;  // this node
    std::string secret;          // of the node group
    std::string secret_file;     // where it is from: for messages
    std::uint16_t port = 7789;   // the first that is tried; the next ones when it is taken (several lockspaces)
    std::string listen_host = "0.0.0.0";
    std::map<base::NodeId, std::string> hosts;  // addresses of all nodes
};

class LockspaceClient {
  public:
    // All on the loop thread, never from inside a call, never under a lock of the client library.
    struct Callbacks {
        std::function<void(const Completed&)> completed;  // of a request that was queued
        std::function<void(const BlockingNotice&)> blocking;
        std::function<void(const NodeNotice&)> node;
        // Nothing held can be relied on. Last callback, except `left`.
        std::function<void(const base::Error&)> lost;
    };
    enum class Answer { granted, queued, refused };
    struct Requested {
        LockId lock = 0;  // for all that follows; gone when refused as a new lock
        Answer answer = Answer::queued;
        Completed completed;  // unless queued
    };

    virtual ~LockspaceClient() = default;

    // Loop thread, or before the loop runs. Joins; requests wait until the others have agreed.
    virtual base::Result<void> start(Callbacks callbacks) = 0;
    // Loop thread. Until it is called with true nothing is granted.
    virtual void set_quorate(bool quorate) = 0;

    // Any thread, also under a mutex that callbacks take; microseconds. Names that this node masters are decided at
    // once.
    virtual Requested request(const Name& name, Mode mode, Flags flags) = 0;
    virtual Requested convert(LockId lock, Mode mode, Flags flags, const ValueBytes& value = {}) = 0;
    virtual void unlock(LockId lock, Flags flags = {}, const ValueBytes& value = {}) = 0;
    virtual void cancel(LockId lock) = 0;
    virtual void release_dead(const base::NodeIncarnation& life) = 0;
    // When every lock has been unlocked. `left` is called on the loop thread, also after `lost`.
    virtual void leave(std::function<void()> left) = 0;
    virtual void describe(base::JsonWriter& json, bool locks) const = 0;
};

// Destroy it on the loop thread or after the loop has ended. The gate must outlive it.
std::unique_ptr<LockspaceClient> make_lockspace_client(base::EventLoop& loop, LockspaceOptions options,
                                                       std::unique_ptr<base::GroupMessenger> group,
                                                       base::FenceGate& gate);

// The same with what a node has: Corosync's CPG, quorum and addresses, and the secret of <etc>/cfs/secret.
base::Result<std::unique_ptr<LockspaceClient>> make_node_lockspace_client(base::EventLoop& loop,
                                                                          const std::string& name,
                                                                          const base::NodeIncarnation& self,
                                                                          base::FenceGate& gate);

}  // namespace dlm
