// Everything that a lockspace reacts to.
#pragma once

#include <optional>
#include <variant>

#include "base/group_messenger.hh"
#include "base/node.hh"
#include "dlm/format/message.hh"

namespace dlm {

// ---- from the client. `lock` and `operation` are made by the driver and grow. --------------------------------------
// A new lock. Answered by exactly one Completed.
struct LockRequested {
    LockId lock = 0;
    OperationId operation = 0;
    Name name;
    Mode mode = Mode::NL;
    Flags flags;
};
// Of a granted lock with nothing in flight (else: Outcome::invalid). Answered by exactly one Completed. `value` is what
// is written when value_transfer() says so.
struct ConversionRequested {
    LockId lock = 0;
    OperationId operation = 0;
    Mode mode = Mode::NL;
    Flags flags;
    ValueBytes value{};
};
// In any state; what is in flight completes as cancelled. The lock is gone at once.
struct UnlockRequested {
    LockId lock = 0;
    Flags flags;
    ValueBytes value{};
};
// The operation in flight completes, as cancelled or as granted.
struct CancelRequested {
    LockId lock = 0;
};
// What that life may have changed has been repaired: its locks may be granted, on all nodes.
struct DeadReleaseRequested {
    base::NodeIncarnation life;
};
// All locks must have been unlocked. Ends in Left.
struct LeaveRequested {};

// ---- from the group, the gate, the peers ---------------------------------------------------------------------------
struct ViewChanged {
    base::GroupView view;
};
struct GroupMessageDelivered {
    base::GroupMember sender;
    GroupMessage message;
};
// From a link, in order, each once.
struct PeerMessageArrived {
    base::Uuid session;  // of the sender
    PeerMessage message;
};
struct LifeFenced {
    base::NodeIncarnation life;
};
// Each node was in sight, had left in good order or was known to be dead, by news not older than the group's when it
// was asked (base::FenceGate::when_nobody_is_missing).
struct NobodyMissing {
    std::uint64_t question = 0;
};
struct QuorumChanged {
    bool quorate = false;
};
// The group was lost (Corosync ended or evicted us).
struct GroupLost {};
// A member's secret is not ours: who has not taken part yet ends, so that the others need not wait for it.
struct SecretRefused {
    std::string why;
};
struct TimePassed {};

using Event = std::variant<LockRequested, ConversionRequested, UnlockRequested, CancelRequested, DeadReleaseRequested,
                           LeaveRequested, ViewChanged, GroupMessageDelivered, PeerMessageArrived, LifeFenced,
                           NobodyMissing, QuorumChanged, GroupLost, SecretRefused, TimePassed>;

}  // namespace dlm
