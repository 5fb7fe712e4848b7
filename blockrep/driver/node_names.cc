#include "blockrep/driver/node_names.hh"

#include "base/io/random.hh"

namespace blockrep {

UnfencedNodeNames::UnfencedNodeNames() : life_(base::random_uuid()) {}

base::Result<NodeNames::Pair> UnfencedNodeNames::resolve(const config::ResourceConfig& resource,
                                                         const config::HostConfig& self,
                                                         const config::HostConfig& peer) {
    const bool numbered = self.node_id && peer.node_id && *self.node_id != *peer.node_id;
    const bool first = resource.hosts.front().name == self.name;
    const base::NodeId own{numbered ? *self.node_id + 1 : first ? 1U : 2U};
    const base::NodeId other{numbered ? *peer.node_id + 1 : first ? 2U : 1U};
    return Pair{{own, life_}, other};
}

}  // namespace blockrep
