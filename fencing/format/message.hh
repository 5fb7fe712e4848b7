// What the daemons of a node group tell each other over CPG (group "cfs-fence"); to the byte: docs/format/fencing.md.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hh"
#include "base/error.hh"
#include "base/node.hh"
#include "fencing/format/history_entry.hh"

namespace fencing {

inline constexpr std::size_t max_message_bytes = 60 * 1024;  // below the group messenger's 64 KiB
inline constexpr std::size_t max_text_bytes = 512;
inline constexpr std::size_t max_list_entries = 1024;

// One request that the sender's own clients have made and not withdrawn.
struct OpenRequest {
    base::NodeIncarnation victim;  // a nil incarnation: whichever life the node is in
    std::string reason;
    std::string asker;
    bool operator==(const OpenRequest&) const = default;
};

struct ExecutedAttempt {
    base::NodeId victim;
    std::uint32_t attempt = 0;
    bool operator==(const ExecutedAttempt&) const = default;
};

// "I live as `incarnation`." Said whenever somebody joins, and only then.
struct Hello {
    base::Uuid incarnation;
    // Lives of the speaker's node that it had heard of when it spoke, other than its own: they are over.
    std::vector<base::Uuid> superseded;
    std::vector<OpenRequest> requests;       // all open ones of the speaker; replaces what was known of them
    std::vector<ExecutedAttempt> executing;  // victims that the speaker's agents are switching off at this moment
    bool operator==(const Hello&) const = default;
};

struct Request {
    OpenRequest request;
    bool operator==(const Request&) const = default;
};

struct Withdraw {
    base::NodeIncarnation victim;
    bool operator==(const Withdraw&) const = default;
};

// "I am going to run the agents now." Valid when delivered before any other claim of the same attempt.
struct Claim {
    base::NodeId victim;
    std::uint32_t attempt = 0;
    bool operator==(const Claim&) const = default;
};

// The sender's claim was delivered when it could not act on it (quorum lost meanwhile): the next one may try.
struct Decline {
    base::NodeId victim;
    std::uint32_t attempt = 0;
    bool operator==(const Decline&) const = default;
};

// The end of an attempt, or a manual confirmation.
struct Finished {
    HistoryEntry entry;
    bool operator==(const Finished&) const = default;
};

// `silent` has joined and not said Hello for too long: the others go on without having heard it.
struct Overlook {
    base::NodeId silent;
    bool operator==(const Overlook&) const = default;
};

// For the sender itself: it has then seen every change of the group that came before it.
struct Marker {
    std::uint64_t number = 0;
    bool operator==(const Marker&) const = default;
};

// State transfer: facts never become false, so any number of these may be merged in any order.
struct Facts {
    std::vector<base::NodeIncarnation> dead;
    std::vector<base::NodeIncarnation> known;  // heard of, not known to be dead
    bool operator==(const Facts&) const = default;
};

struct HistoryBatch {
    std::vector<HistoryEntry> entries;
    bool operator==(const HistoryBatch&) const = default;
};

using Message = std::variant<Hello, Request, Withdraw, Claim, Finished, Facts, HistoryBatch, Decline, Overlook, Marker>;

// Texts are cut to max_text_bytes; fails when the whole is longer than max_message_bytes.
base::Result<base::Bytes> encode(const Message& message);
// Refuses everything that encode() cannot have written.
base::Result<Message> decode(base::ByteView bytes);
// Bytes that an entry takes in a HistoryBatch.
std::size_t encoded_size(const HistoryEntry& entry);

}  // namespace fencing
