// The pending fence of one machine: who wants which of its lives dead, and how far it got. Replicated: every member
// has the same, because it changes only by what the group delivers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
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
    std::optional<base::NodeId> executor;
    base::Instant since;     // local: when it was first heard of
    base::Instant ready_at;  // local: not claimed before (delay, backoff)
    std::string last_failure;
    // The first request ever, for the history: an attempt may outlive the requests.
    std::string asker;
    std::string reason;

    std::optional<std::uint32_t> claim_sent;  // local: our claim of this attempt is on its way
    base::Instant taken_at;                   // local: when the executor was heard to be it
    std::optional<base::Instant> begin_at;    // local: our claim holds; the agents start then

    // A claim holds; it is over.
    void take(base::NodeId by, base::Instant now);
    void release();

    void describe(base::NodeId victim, base::Instant now, base::JsonWriter& out) const;
};

}  // namespace fencing
