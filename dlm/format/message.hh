// What members of a lockspace tell each other: over TCP (PeerMessage) and over CPG (GroupMessage). docs/format/dlm.md
// says the same to the byte. Decoding checks every length, count, enumerator and flag.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.hh"
#include "base/error.hh"
#include "base/group_messenger.hh"
#include "base/node.hh"
#include "dlm/format/types.hh"

namespace dlm {

// ---- owner to master (or directory) --------------------------------------------------------------------------------
struct Request {
    LockId lock = 0;
    OperationId operation = 0;
    Name name;
    Mode mode = Mode::NL;
    Flags flags;
    bool operator==(const Request&) const = default;
};
struct Convert {
    LockId lock = 0;
    OperationId operation = 0;
    Name name;
    Mode mode = Mode::NL;
    Flags flags;
    bool operator==(const Convert&) const = default;
};
// A conversion that cannot fail. Answered by ValueStored if a value was written, else not.
struct Lower {
    LockId lock = 0;
    Name name;
    Mode mode = Mode::NL;
    std::optional<Value> written;
    bool operator==(const Lower&) const = default;
};
// Whatever the lock was doing. Answered by ValueStored if a value was written, else not.
struct Unlock {
    LockId lock = 0;
    Name name;
    std::optional<Value> written;
    bool operator==(const Unlock&) const = default;
};
struct Cancel {
    LockId lock = 0;
    OperationId operation = 0;
    Name name;
    bool operator==(const Cancel&) const = default;
};
// Of an earlier Lower or Unlock that was not acknowledged. Answered by ValueStored.
struct StoreValue {
    LockId lock = 0;
    Name name;
    Value value;
    bool operator==(const StoreValue&) const = default;
};

// ---- master to owner -----------------------------------------------------------------------------------------------
struct Granted {
    LockId lock = 0;
    OperationId operation = 0;
    Mode mode = Mode::NL;
    bool demoted = false;        // the old granted mode was given up to NL on the way
    std::optional<Value> value;  // always for PW and EX, which may write it; else when asked for
    bool operator==(const Granted&) const = default;
};
struct Refused {
    LockId lock = 0;
    OperationId operation = 0;
    Outcome outcome = Outcome::would_block;
    bool demoted = false;
    bool operator==(const Refused&) const = default;
};
struct Blocking {
    LockId lock = 0;
    Mode wanted = Mode::NL;
    bool operator==(const Blocking&) const = default;
};
struct ValueStored {
    LockId lock = 0;
    std::uint64_t sequence = 0;
    bool operator==(const ValueStored&) const = default;
};
// Ask that node; the owner itself: it is the master from now on.
struct Redirect {
    LockId lock = 0;
    OperationId operation = 0;
    Name name;
    base::NodeId master;
    bool operator==(const Redirect&) const = default;
};
// This node masters the name no longer: ask the directory.
struct NotMaster {
    LockId lock = 0;
    OperationId operation = 0;
    bool operator==(const NotMaster&) const = default;
};

// ---- master to directory -------------------------------------------------------------------------------------------
struct DirectoryRemove {
    Name name;
    bool operator==(const DirectoryRemove&) const = default;
};

// ---- rebuild -------------------------------------------------------------------------------------------------------
struct DirectoryEntries {  // the sender masters them
    std::vector<Name> names;
    bool operator==(const DirectoryEntries&) const = default;
};
struct HeldLock {
    LockId lock = 0;
    Name name;
    Mode mode = Mode::NL;
    std::optional<Value> value;  // as the owner last read or wrote it
    bool operator==(const HeldLock&) const = default;
};
struct HeldLocks {
    std::vector<HeldLock> locks;
    bool operator==(const HeldLocks&) const = default;
};
struct NamedValue {  // written, but not acknowledged
    Name name;
    Value value;
    bool operator==(const NamedValue&) const = default;
};
struct WrittenValues {
    std::vector<NamedValue> values;
    bool operator==(const WrittenValues&) const = default;
};
struct HandedResource {
    Name name;
    Value value;
    std::vector<base::NodeIncarnation> withheld_for;
    bool operator==(const HandedResource&) const = default;
};
struct Handover {  // by a leaver to the directory nodes, which become masters
    std::vector<HandedResource> resources;
    bool operator==(const Handover&) const = default;
};
struct RebuildDone {
    bool operator==(const RebuildDone&) const = default;
};

using PeerBody =
    std::variant<Request, Convert, Lower, Unlock, Cancel, StoreValue, Granted, Refused, Blocking, ValueStored, Redirect,
                 NotMaster, DirectoryRemove, DirectoryEntries, HeldLocks, WrittenValues, Handover, RebuildDone>;
struct PeerMessage {
    Generation generation = 0;
    PeerBody body;
    bool operator==(const PeerMessage&) const = default;
};

// A rebuild message carries at most so many items; the sender cuts.
inline constexpr std::size_t max_batch = 512;
inline constexpr std::size_t max_withheld = 64;

base::Bytes encode(const PeerMessage& message);
base::Result<PeerMessage> decode_peer_message(base::ByteView bytes);

// ---- group ---------------------------------------------------------------------------------------------------------
// One session: one life of one process in the lockspace.
struct Member {
    base::GroupMember process;
    base::NodeIncarnation life;
    base::Uuid session;
    std::uint16_t port = 0;  // where it listens for peers
    auto operator<=>(const Member&) const = default;
};

struct RoundId {
    base::GroupMember starter;
    std::uint64_t number = 0;
    auto operator<=>(const RoundId&) const = default;
};

struct RoundStart {
    RoundId round;
    bool operator==(const RoundStart&) const = default;
};
struct MemberStatus {
    RoundId round;
    Member self;
    bool leaving = false;
    Generation generation = 0;                  // highest it has agreed to
    Generation completed = 0;                   // highest of which it knows that all have rebuilt
    std::vector<Member> known;                  // members of that generation
    std::vector<Member> dead;                   // not released yet
    std::vector<base::NodeIncarnation> fenced;  // known from the gate
    bool operator==(const MemberStatus&) const = default;
};
// Every dead life is certified here, and there is quorum.
struct Ready {
    RoundId round;
    Generation generation = 0;
    bool operator==(const Ready&) const = default;
};
struct Resumed {
    Generation generation = 0;
    bool operator==(const Resumed&) const = default;
};
struct ReleaseDead {
    base::NodeIncarnation life;
    bool operator==(const ReleaseDead&) const = default;
};
using GroupMessage = std::variant<RoundStart, MemberStatus, Ready, Resumed, ReleaseDead>;

inline constexpr std::size_t max_members = 64;

base::Bytes encode(const GroupMessage& message);
base::Result<GroupMessage> decode_group_message(base::ByteView bytes);

}  // namespace dlm
