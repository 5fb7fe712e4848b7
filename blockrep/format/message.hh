// What two replicas say to each other, and its bytes (docs/format/blockrep-wire.md). A frame is either the hello of a
// session or a numbered message; the data of Write, ReadDone and ResyncBlocks follows as the frame's payload.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/bytes.hh"
#include "base/error.hh"
#include "base/node.hh"
#include "base/sequenced_session.hh"
#include "blockrep/format/generations.hh"
#include "blockrep/format/range.hh"
#include "blockrep/format/states.hh"

namespace blockrep {

inline constexpr std::uint32_t wire_version = 1;

// First on every new connection, both ways.
struct Hello {
    std::uint32_t version = wire_version;
    base::Uuid incarnation;  // the speaker's life
    base::Uuid process;      // of the speaker; its request ids are unique in it, over all sessions
    base::SessionHello session;
    bool operator==(const Hello&) const = default;
};

using RequestId = std::uint64_t;  // chosen by the asker; names the request in its answer

// The speaker's state; the first message of a session, and again whenever role or disk change.
struct StateReport {
    DiskState disk = DiskState::Diskless;
    Role role = Role::Secondary;
    Generations generations;
    bool crashed_primary = false;
    bool allow_two_primaries = false;
    bool discard_my_data = false;
    bool missed_writes = false;    // a Primary's: its disk was away, and the listener's may have taken what it lacks
    bool cache_lost = false;       // its disk failed to flush: what was written to it before may not be on it
    std::uint64_t data_size = 0;   // bytes; 0 without a disk
    std::uint64_t dirty_bits = 0;  // blocks known to differ
    bool operator==(const StateReport&) const = default;
};
// The speaker has the listener's report, counts it as a replica from now on, and both may be UpToDate.
struct Agreed {
    bool operator==(const Agreed&) const = default;
};
struct BitmapPart {
    struct Run {
        std::uint64_t first = 0;  // block of 4 KiB
        std::uint64_t count = 0;
        bool operator==(const Run&) const = default;
    };
    std::vector<Run> runs;  // at most max_runs
    bool last = false;
    static constexpr std::size_t max_runs = 8192;
    bool operator==(const BitmapPart&) const = default;
};
// Source to target: take this as your current generation, become Inconsistent, then answer.
struct SyncStart {
    GenerationId sync_generation = 0;
    bool operator==(const SyncStart&) const = default;
};
struct SyncStarted {
    bool operator==(const SyncStarted&) const = default;
};
// Source to target: nothing differs any more and all of it is stable: you are UpToDate with these generations.
struct SyncFinish {
    Generations generations;
    bool operator==(const SyncFinish&) const = default;
};
struct SyncFinished {
    bool operator==(const SyncFinished&) const = default;
};
struct Write {  // payload: the data; none when zeroes
    RequestId id = 0;
    Range range;
    bool zeroes = false;
    bool stable = false;
    bool operator==(const Write&) const = default;
};
struct WriteDone {
    RequestId id = 0;
    bool stored = true;   // false: the speaker's disk failed or is gone
    bool before = false;  // stored in an earlier session, and perhaps overwritten since: not stored again
    bool operator==(const WriteDone&) const = default;
};
struct Flush {
    RequestId id = 0;
    bool operator==(const Flush&) const = default;
};
struct FlushDone {
    RequestId id = 0;
    bool stored = true;
    bool operator==(const FlushDone&) const = default;
};
struct Read {
    RequestId id = 0;
    Range range;
    bool operator==(const Read&) const = default;
};
struct ReadDone {  // payload: the data, if it could be read; none when zeroes
    RequestId id = 0;
    bool readable = true;
    bool zeroes = false;
    bool operator==(const ReadDone&) const = default;
};
struct ResyncBlocks {  // payload: the data; none when zeroes
    RequestId id = 0;
    Range range;
    bool zeroes = false;
    bool operator==(const ResyncBlocks&) const = default;
};
struct ResyncDone {
    RequestId id = 0;
    bool stored = true;
    bool operator==(const ResyncDone&) const = default;
};
struct PromoteRequest {
    RequestId id = 0;
    bool operator==(const PromoteRequest&) const = default;
};
struct PromoteReply {
    RequestId id = 0;
    bool allowed = false;
    bool operator==(const PromoteReply&) const = default;
};
// The speaker goes: it is Secondary, and its disk is recorded as Outdated if the listener's is UpToDate.
struct Leave {
    bool operator==(const Leave&) const = default;
};
struct LeaveAccepted {
    bool operator==(const LeaveAccepted&) const = default;
};

using Message = std::variant<StateReport, Agreed, BitmapPart, SyncStart, SyncStarted, SyncFinish, SyncFinished, Write,
                             WriteDone, Flush, FlushDone, Read, ReadDone, ResyncBlocks, ResyncDone, PromoteRequest,
                             PromoteReply, Leave, LeaveAccepted>;

struct Numbered {
    std::uint64_t sequence = 0;
    std::uint64_t received = 0;  // highest number that the speaker has received
    Message message;
    bool operator==(const Numbered&) const = default;
};
// Nothing new to say for a while, but much was received.
struct Acknowledge {
    std::uint64_t received = 0;
    bool operator==(const Acknowledge&) const = default;
};
using Frame = std::variant<Hello, Numbered, Acknowledge>;

base::Bytes encode(const Frame& frame);
// `payload_length`: of the frame's payload; it must be what the message says. Checks every field's range, but not
// whether a range is on the device (is_valid_on).
base::Result<Frame> decode(base::ByteView bytes, std::uint64_t payload_length);

}  // namespace blockrep
