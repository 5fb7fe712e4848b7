// What a resource wants done. Imperatives; performed in the order of the list. Completions come back as events, later,
// never from inside step().
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "blockrep/core/event.hh"

namespace blockrep {

// ---- backing disk: offsets are of the data area, which starts at byte 0 of the disk
// ------------------------------------
struct ReadLocal {  // answered by LocalReadDone
    Ticket ticket;
    Range range;
    ReadBuffer into;  // empty: the driver allocates
};
struct WriteLocal {  // answered by LocalWriteDone
    Ticket ticket;
    Range range;
    Payload payload;  // zeros: write zeros or punch a hole that reads as zeros
    bool stable;      // with FUA
};
struct FlushLocal {  // answered by LocalFlushDone: every LocalWriteDone given before is on stable media
    Ticket ticket;
};
struct WriteMetadata {  // answered by LocalWriteDone; always stable (FUA)
    Ticket ticket;
    std::uint64_t offset;  // bytes from the start of the metadata area, a multiple of 4096
    base::Bytes bytes;     // a multiple of 4096
};
struct CloseDisk {};  // after a detach or a failure: requests in flight are still answered, nothing new comes

// ---- the link
// --------------------------------------------------------------------------------------------------------
struct OpenLink {};  // listen and dial until LinkOpened; again after every LinkClosed, until CloseLink
struct CloseLink {   // close the connection and stop trying, unless OpenLink follows
    std::string why;
};
struct SendFrame {  // only while a connection stands
    Frame frame;
    Payload payload;
};

// ---- fencing: base::FenceGate
// -----------------------------------------------------------------------------------------
struct RequestFence {
    base::NodeIncarnation victim;
    std::string reason;
};
struct WithdrawFence {
    base::NodeIncarnation victim;
};

// ---- answers
// ---------------------------------------------------------------------------------------------------------
struct CompleteRead {
    Ticket client;
    base::Result<Payload> data;  // where ReadRequested::into is, or elsewhere: then the driver copies
};
struct CompleteRequest {
    Ticket client;
    base::Result<void> outcome;
};
struct CompleteCommand {
    Ticket command;
    base::Result<void> outcome;
};
struct Report {  // a line for the log
    std::string text;
};

using Action = std::variant<ReadLocal, WriteLocal, FlushLocal, WriteMetadata, CloseDisk, OpenLink, CloseLink, SendFrame,
                            RequestFence, WithdrawFence, CompleteRead, CompleteRequest, CompleteCommand, Report>;
using Actions = std::vector<Action>;

}  // namespace blockrep
