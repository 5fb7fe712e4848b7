// The states of a resource, in DRBD's words: enumerators are spelled as status prints them.
#pragma once

#include <cstdint>
#include <string_view>

namespace blockrep {

// The values are on the wire (docs/format/blockrep-wire.md): never renumber.
enum class Role : std::uint8_t { Unknown = 0, Primary = 1, Secondary = 2 };

enum class DiskState : std::uint8_t {
    Diskless = 0,      // no backing disk: reads and writes are served by the peer
    Attaching = 1,     // metadata is being read
    Failed = 2,        // an I/O error was seen; becomes Diskless once the peer has recorded it
    Negotiating = 3,   // attached while connected: the handshake decides
    Inconsistent = 4,  // some blocks are old or unknown: never a source, never read where dirty
    Outdated = 5,      // consistent, but known to be older than the peer's
    DUnknown = 6,      // the peer's, while it is not connected
    Consistent = 7,    // consistent; whether the peer's is newer is not known
    UpToDate = 8,
};

enum class ConnectionState : std::uint8_t {
    StandAlone = 0,  // not connected and not trying (by command, after a split brain, or refused)
    Disconnecting = 1,
    Connecting = 2,  // trying; the session with the peer may be alive (nothing lost) or not
    Connected = 3,
};

enum class ReplicationState : std::uint8_t {
    Off = 0,  // no handshake has been agreed on
    Established = 1,
    WFBitMapS = 2,  // exchanging bitmaps, to become SyncSource
    WFBitMapT = 3,
    SyncSource = 4,
    SyncTarget = 5,
};

// All blocks are of one point in time: of ours, or as the peer reports its own.
inline bool is_consistent(DiskState disk) { return disk >= DiskState::Outdated && disk != DiskState::DUnknown; }

std::string_view to_string(Role role);
std::string_view to_string(DiskState state);
std::string_view to_string(ConnectionState state);
std::string_view to_string(ReplicationState state);

}  // namespace blockrep
