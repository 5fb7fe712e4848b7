// Who is who: machines of the node group, and one life of a machine.
#pragma once

#include <compare>
#include <cstdint>

#include "base/uuid.hh"

namespace base {

// Corosync's nodeid; never 0.
struct NodeId {
    std::uint32_t value = 0;
    auto operator<=>(const NodeId&) const = default;
};

// One life of one machine, from power-on to power-off. cfs-fenced makes it at the node's first start and keeps it in
// /run/cfs/incarnation, which does not survive a power cycle. "This incarnation is dead" is therefore true for ever:
// it is the proof that the fence gate hands out, and needs no clock.
struct NodeIncarnation {
    NodeId node;
    Uuid incarnation;
    auto operator<=>(const NodeIncarnation&) const = default;
};

}  // namespace base
