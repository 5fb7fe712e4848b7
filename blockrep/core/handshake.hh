// Who has the newer data: DRBD's table over generation identifiers (drbd_uuid_compare, rules 10 to 100), then over the
// disks' states. A pure function of what both sides report; each side computes it, and the results mirror each other.
#pragma once

#include <string_view>

#include "blockrep/format/message.hh"

namespace blockrep {

enum class SyncDirection { none, source, target };  // of the side that asks
enum class SyncExtent { bitmap, full };
enum class Disagreement {
    none,
    split_brain,
    unrelated,
    sizes_differ,
    source_not_consistent,
    primary_would_lose,
    both_caches_lost
};

struct HandshakeResult {
    int rule = 0;  // of the table; for the log and for tests
    SyncDirection direction = SyncDirection::none;
    SyncExtent extent = SyncExtent::bitmap;
    Disagreement disagreement = Disagreement::none;  // if any, the link is given up
    bool retire_own_bitmap = false;                  // rule 34: the last resync did finish
    bool operator==(const HandshakeResult&) const = default;
};

// What the disk of `self` counts as: one that missed writes is Inconsistent, unless both did (each took the other's
// disk for UpToDate when its own was lost, so neither has gone on without the other), or the peer has not gone on and
// may lack what it had not flushed.
DiskState disk_that_counts(const StateReport& self, const StateReport& peer);

// `self_orders`: this node is the one with the lower number. The disks of both reports must be what disk_that_counts()
// says.
HandshakeResult decide_handshake(const StateReport& self, const StateReport& peer, bool self_orders);

// The rows of the generations alone, before disk states are looked at.
HandshakeResult compare_generations(const StateReport& self, const StateReport& peer, bool self_orders);

std::string_view to_string(Disagreement disagreement);

}  // namespace blockrep
