// Quorum and the node list, as the local Corosync has them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hh"
#include "base/io/event_loop.hh"
#include "base/node.hh"

namespace base {

struct ConfiguredNode {
    NodeId id;
    std::string name;     // nodelist.node.N.name; empty when not set
    std::string address;  // ring0_addr
};

// From cmap: every node of corosync.conf's nodelist, by id.
Result<std::vector<ConfiguredNode>> configured_nodes();
Result<NodeId> local_node();
Result<bool> is_quorate();

class QuorumWatch {
  public:
    virtual ~QuorumWatch() = default;
    // `changed` is called soon after with the present state, and at every change; `lost` when Corosync is gone.
    static Result<std::unique_ptr<QuorumWatch>> start(EventLoop& loop, std::function<void(bool quorate)> changed,
                                                      std::function<void(const Error&)> lost);
};

}  // namespace base
