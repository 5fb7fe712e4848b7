// What happens to a resource. Past participles; the driver and the simulator speak this to Resource::step().
#pragma once

#include <cstdint>
#include <variant>

#include "base/bytes.hh"
#include "base/error.hh"
#include "base/node.hh"
#include "blockrep/core/payload.hh"
#include "blockrep/format/message.hh"
#include "blockrep/format/range.hh"

namespace blockrep {

using Ticket = std::uint64_t;  // names one action (or one client request) until it is answered; never reused

// Longest ranges a client may ask for at once, in bytes; the driver splits what is longer.
inline constexpr std::uint64_t max_data_length = 1 << 20;
inline constexpr std::uint64_t max_zeroes_length = 16 << 20;

// ---- clients: the driver chooses the tickets, unique among the client requests in flight
// -----------------------------
struct ReadRequested {  // answered by CompleteRead
    Ticket client;
    Range range;
    ReadBuffer into;
};
struct WriteRequested {  // answered by CompleteRequest. A payload of zeros: the range reads as zeros afterwards
    Ticket client;
    Range range;
    Payload payload;
    bool stable = false;  // FUA: on stable media of both replicas before it is answered
};
struct FlushRequested {  // answered by CompleteRequest
    Ticket client;
};
struct ClientOpened {};  // somebody uses the device: no demotion, no detach of the last good disk
struct ClientClosed {};

// ---- backing disk
// ---------------------------------------------------------------------------------------------------- The disk was
// opened and its whole metadata area read (Geometry::metadata_length bytes from metadata_offset).
struct DiskOpened {
    std::uint64_t disk_size = 0;  // bytes, data and internal metadata
    base::Bytes metadata;
    Ticket command = 0;  // of the attach; answered by CompleteCommand: refused while an earlier disk owes an answer
};
struct LocalReadDone {
    Ticket ticket;
    base::Result<Payload> data;  // is_zeros() allowed for all-zero data where the action had no buffer
};
struct LocalWriteDone {  // also of WriteMetadata
    Ticket ticket;
    base::Result<void> outcome;
};
struct LocalFlushDone {
    Ticket ticket;
    base::Result<void> outcome;
};

// ---- the link
// --------------------------------------------------------------------------------------------------------
struct LinkOpened {};  // an authenticated connection stands; the driver closed any earlier one of this resource
struct LinkClosed {    // it broke (not when the core asked for CloseLink)
    std::string why;
};
struct FrameReceived {
    Frame frame;
    Payload payload;
};

// ---- fencing
// ---------------------------------------------------------------------------------------------------------
struct PeerFenced {  // this life of the peer is known to be over
    base::NodeIncarnation dead;
};

// ---- commands, answered by CompleteCommand
// -----------------------------------------------------------------------------
enum class CommandKind { connect, disconnect, promote, force_promote, demote, detach, invalidate, clear_bitmap };
struct CommandGiven {
    Ticket command;
    CommandKind kind;
    bool discard_my_data = false;  // of connect: this side's changes lose a split brain
};
struct TimePassed {};  // next_deadline() was reached

using Event = std::variant<ReadRequested, WriteRequested, FlushRequested, ClientOpened, ClientClosed, DiskOpened,
                           LocalReadDone, LocalWriteDone, LocalFlushDone, LinkOpened, LinkClosed, FrameReceived,
                           PeerFenced, CommandGiven, TimePassed>;

}  // namespace blockrep
