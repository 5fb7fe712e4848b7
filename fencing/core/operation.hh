// The pending fence of one machine: who wants which of its lives dead, and how far it got. Replicated: every member
// has the same, because it changes only by what the group delivers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/json_writer.hh"
#include "base/node.hh"
#include "base/time.hh"

namespace fencing {

struct Operation {
    struct Asked {
        std::string reason;
        std::string asker;
        bool covered = false;  // delivered before the present claim: its success answers a nil incarnation
    };
    using Key = std::pair<base::NodeId, base::Uuid>;  // the member that asks, the life that it wants dead

    std::map<Key, Asked> requests;
    std::uint32_t attempts = 0;  // failed ones
    // At most one by claims; those of two sides of a split may both shoot on when they meet.
    std::set<base::NodeId> executors;
    base::Instant since;     // local: when it was first heard of
    base::Instant ready_at;  // local: not claimed before (delay, backoff)
    std::string last_failure;
    // The first request ever, for the history: an attempt may outlive the requests.
    std::string asker;
    std::string reason;

    std::optional<std::uint32_t> claim_sent;  // local: our claim of this attempt is on its way
    std::optional<base::Instant> begin_at;    // local: our claim holds; the agents start then

    void describe(base::NodeId victim, base::Instant now, base::JsonWriter& out) const;
};

}  // namespace fencing
