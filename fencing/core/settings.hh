// What the core must know of fencing.toml.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/node.hh"
#include "base/time.hh"

namespace fencing {

struct FencePlan {
    std::string name;      // of the node
    base::Duration delay;  // waited before this node is shot, so that of two halves of a split one is first
    // Tried in order; a level has succeeded when every device in it is verified off (two power supplies).
    std::vector<std::vector<std::string>> levels;
};

struct Settings {
    base::NodeId self;
    std::map<base::NodeId, FencePlan> nodes;
    std::vector<std::string> heuristics;  // devices that only say "go on" (exit 0) or "do not shoot"; never a proof
    base::Duration verify_limit = base::Duration::seconds(20);  // from off accepted to seen off
    base::Duration verify_interval = base::Duration::seconds(1);
    base::Duration longest_backoff = base::Duration::seconds(30);
    // With more than two nodes: how long news of lost quorum may trail what the group delivers.
    base::Duration quorum_settle = base::Duration::seconds(1);
};

// Waited after the n-th failed attempt (from 1): 1 s, 2 s, 4 s … up to the limit.
base::Duration backoff_after(std::uint32_t attempts, const Settings& settings);

}  // namespace fencing
