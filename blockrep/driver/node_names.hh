// Who the two hosts of a resource are to the rest of the node group.
#pragma once

#include "base/error.hh"
#include "base/node.hh"
#include "blockrep/config/configuration.hh"

namespace blockrep {

class NodeNames {
  public:
    struct Pair {
        base::NodeIncarnation self;
        base::NodeId peer;
    };
    virtual ~NodeNames() = default;
    // Our own life, and the peer's number. Both nodes must come to the same numbers.
    virtual base::Result<Pair> resolve(const config::ResourceConfig& resource, const config::HostConfig& self,
                                       const config::HostConfig& peer) = 0;
};

// Without Corosync and fencing (tests, `--no-fencing`): numbers from the configuration, a life for each process.
class UnfencedNodeNames : public NodeNames {
  public:
    UnfencedNodeNames();
    base::Result<Pair> resolve(const config::ResourceConfig& resource, const config::HostConfig& self,
                               const config::HostConfig& peer) override;

  private:
    const base::Uuid life_;
};

}  // namespace blockrep
