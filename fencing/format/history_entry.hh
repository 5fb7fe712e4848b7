// What is remembered of one attempt to fence a node, on every node.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/node.hh"
#include "base/time.hh"

namespace fencing {

enum class Outcome : std::uint8_t {
    fenced = 1,     // powered off and verified by a status query
    failed = 2,     // this attempt failed; the fence stays pending
    confirmed = 3,  // a person stated that the machine is off
};

struct HistoryEntry {
    base::NodeId victim;
    base::NodeId executor;    // who ran the agents, or where the person typed
    base::WallTime finished;  // of the executor's clock; with the executor it names the entry
    // Earlier moments, by the same clock: the victim was missed in the group, was asked to be fenced, the agents began.
    base::WallTime seen{};
    base::WallTime requested{};
    base::WallTime started{};
    Outcome outcome = Outcome::failed;
    std::uint32_t attempt = 0;          // 0: the first
    std::vector<base::Uuid> dead = {};  // the lives that are dead because of it; empty when it failed
    std::string asker = {};             // "blockrepd on a", "operator root on b"
    std::string reason = {};            // for people
    std::string detail = {};            // device and what it said

    bool operator==(const HistoryEntry&) const = default;
    // Two entries of one executor and one instant are the same event, heard twice.
    bool same_event(const HistoryEntry& other) const {
        return executor == other.executor && finished == other.finished && victim == other.victim;
    }
};

}  // namespace fencing
