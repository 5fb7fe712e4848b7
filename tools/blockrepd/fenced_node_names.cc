#include "fenced_node_names.hh"

#include <algorithm>

#include "base/io/quorum.hh"

base::Result<blockrep::NodeNames::Pair> FencedNodeNames::resolve(const blockrep::config::ResourceConfig& resource,
                                                                 const blockrep::config::HostConfig&,
                                                                 const blockrep::config::HostConfig& peer) {
    const auto& state = fence_.state();
    if (!state.connected || !state.self) {
        const std::string why = state.problem.empty() ? "no answer yet" : state.problem;
        return base::failure(std::errc::not_connected,
                             resource.name + " needs fencing, and cfs-fenced does not answer (" + why +
                                 "): systemctl start cfs-fenced; or run blockrepd --no-fencing to test without");
    }
    BASE_ASSIGN(const auto nodes, base::configured_nodes());
    const auto found = std::ranges::find(nodes, peer.name, &base::ConfiguredNode::name);
    if (found == nodes.end()) {
        return base::failure(std::errc::invalid_argument, peer.at.text() + ": `on " + peer.name +
                                                              "`: the nodelist of corosync.conf has no such name");
    }
    return Pair{*state.self, found->id};
}
