#include "blockrep/core/handshake.hh"

#include <algorithm>

namespace blockrep {
namespace {

using Direction = SyncDirection;
using Extent = SyncExtent;

HandshakeResult sync(int rule, Direction direction, Extent extent) { return {rule, direction, extent}; }
HandshakeResult refuse(int rule, Disagreement why) { return {rule, Direction::none, Extent::bitmap, why}; }

bool is_new(GenerationId id) { return id == just_created || id == 0; }

bool in_history(GenerationId id, const Generations& of) {
    return id != 0 && std::find(of.history.begin(), of.history.end(), id) != of.history.end();
}

bool knows(const Generations& of, GenerationId id) { return of.bitmap == id || in_history(id, of); }

bool common_history(const Generations& a, const Generations& b) {
    return std::any_of(a.history.begin(), a.history.end(), [&](GenerationId id) { return in_history(id, b); });
}

// Whoever does begins a new generation first.
bool nobody_went_on(const StateReport& self, const StateReport& peer) {
    return self.generations.current == peer.generations.current && self.generations.bitmap == 0 &&
           peer.generations.bitmap == 0;
}

// Rule 43, which DRBD lacked until 9.2.19: the same generation, nobody crashed as Primary, and yet bits are set (what
// one had acknowledged without a flush, and lost). The side with the bits knows best.
HandshakeResult compare_bits(const StateReport& self, const StateReport& peer, bool self_orders) {
    if (self.dirty_bits == 0 && peer.dirty_bits == 0) return sync(40, Direction::none, Extent::bitmap);
    if (self.dirty_bits != 0 && peer.dirty_bits != 0) {
        return sync(43, self_orders ? Direction::target : Direction::source, Extent::bitmap);
    }
    return sync(43, self.dirty_bits != 0 ? Direction::source : Direction::target, Extent::bitmap);
}

// Rules 40, 41 and 40b (here 42): the same generation, no bits by generation; was somebody Primary when it crashed?
// Rule 44 is ours: of two disks that were lost before anybody went on, one has kept what it had answered.
HandshakeResult compare_crashes(const StateReport& self, const StateReport& peer, bool self_orders) {
    if (nobody_went_on(self, peer) && self.cache_lost != peer.cache_lost) {
        return sync(44, peer.cache_lost ? Direction::source : Direction::target, Extent::bitmap);
    }
    if (!self.crashed_primary && !peer.crashed_primary) return compare_bits(self, peer, self_orders);
    // Where both disks were lost at once, what both Primaries have in flight is written to both once more.
    const bool both_missed = self.missed_writes && peer.missed_writes;
    const bool self_primary = self.role == Role::Primary && !both_missed;
    const bool peer_primary = peer.role == Role::Primary && !both_missed;
    if (self_primary && peer_primary) return refuse(41, Disagreement::split_brain);
    if (self_primary) return sync(41, Direction::source, Extent::bitmap);
    if (peer_primary) return sync(41, Direction::target, Extent::bitmap);
    if (self.crashed_primary != peer.crashed_primary) {
        return sync(42, self.crashed_primary ? Direction::source : Direction::target, Extent::bitmap);
    }
    return sync(42, self_orders ? Direction::target : Direction::source, Extent::bitmap);
}

HandshakeResult compare_equal(const StateReport& self, const StateReport& peer, bool self_orders) {
    const auto& own = self.generations;
    const auto& theirs = peer.generations;
    if (theirs.bitmap == 0 && own.bitmap != 0) {
        const bool finished = own.bitmap == theirs.history[0] && own.history[0] == theirs.history[1];
        auto result = sync(finished ? 34 : 36, Direction::source, Extent::bitmap);
        result.retire_own_bitmap = finished;
        return result;
    }
    if (own.bitmap == 0 && theirs.bitmap != 0) {
        const bool finished = own.history[0] == theirs.bitmap && own.history[1] == theirs.history[0];
        return sync(finished ? 35 : 37, Direction::target, Extent::bitmap);
    }
    return compare_crashes(self, peer, self_orders);
}

// Step (a): exactly one side is Inconsistent, so the data comes from the other.
HandshakeResult prefer_consistent(HandshakeResult result, const StateReport& self, const StateReport& peer) {
    if (is_consistent(self.disk) == is_consistent(peer.disk)) return result;
    const auto wanted = is_consistent(self.disk) ? Direction::source : Direction::target;
    if (result.direction == wanted && result.disagreement == Disagreement::none) return result;
    const bool was_split = result.disagreement != Disagreement::none;
    // Equal generations: what differs is in the bitmaps, which invalidate has filled.
    const bool full = was_split || (result.direction != Direction::none && result.extent == Extent::full);
    return sync(result.rule, wanted, full ? Extent::full : Extent::bitmap);
}

// Step (d): one side gives up its changes.
HandshakeResult apply_discard(HandshakeResult result, const StateReport& self, const StateReport& peer) {
    if (result.disagreement != Disagreement::split_brain || self.discard_my_data == peer.discard_my_data) return result;
    const auto direction = self.discard_my_data ? Direction::target : Direction::source;
    return sync(result.rule, direction, result.rule == 90 ? Extent::bitmap : Extent::full);
}

}  // namespace

HandshakeResult compare_generations(const StateReport& self, const StateReport& peer, bool self_orders) {
    const auto& own = self.generations;
    const auto& theirs = peer.generations;
    if (is_new(own.current) && is_new(theirs.current)) return sync(10, Direction::none, Extent::bitmap);
    if (is_new(own.current)) return sync(20, Direction::target, Extent::full);
    if (is_new(theirs.current)) return sync(30, Direction::source, Extent::full);
    if (own.current == theirs.current) return compare_equal(self, peer, self_orders);
    // Each has gone on from the other's generation: impossible without a split brain.
    if (knows(own, theirs.current) && knows(theirs, own.current)) return refuse(100, Disagreement::split_brain);
    if (own.current == theirs.bitmap) return sync(50, Direction::target, Extent::bitmap);
    if (in_history(own.current, theirs)) return sync(60, Direction::target, Extent::full);
    if (own.bitmap == theirs.current) return sync(70, Direction::source, Extent::bitmap);
    if (in_history(theirs.current, own)) return sync(80, Direction::source, Extent::full);
    if (own.bitmap == theirs.bitmap && own.bitmap != 0) return refuse(90, Disagreement::split_brain);
    if (common_history(own, theirs)) return refuse(100, Disagreement::split_brain);
    return refuse(110, Disagreement::unrelated);
}

namespace {

// The peer begins a new generation before it answers anything that our disk lacks. It did not, and what it had not
// flushed may be lost there: its process is a new one, or its disk failed to flush. Ours has it.
bool missed_nothing(const StateReport& self, const StateReport& peer) {
    const bool peer_may_lack = peer.role != Role::Primary || peer.cache_lost;
    return nobody_went_on(self, peer) && peer_may_lack && peer.disk != DiskState::Diskless && !self.cache_lost;
}

// Both disks failed to flush before either node had heard of the other's failure, and a Primary lives whose clients
// were told that something is there that may be on neither.
bool both_caches_lost(const StateReport& self, const StateReport& peer) {
    const bool a_primary_lives = self.role == Role::Primary || peer.role == Role::Primary;
    return self.cache_lost && peer.cache_lost && a_primary_lives && nobody_went_on(self, peer);
}

// A Primary may be the target where its disk was lost: what it has in flight is written to both once more. Rules 34 to
// 37: a resync by rule 44 did not come to its beginning, or its end.
bool writes_again(int rule, const StateReport& self, const StateReport& peer, const StateReport& target) {
    return (self.missed_writes && peer.missed_writes) || rule == 44 || (rule >= 34 && rule <= 37 && target.cache_lost);
}

}  // namespace

DiskState disk_that_counts(const StateReport& self, const StateReport& peer) {
    const bool missed = self.missed_writes && !peer.missed_writes && self.disk != DiskState::Diskless;
    const bool behind = missed && !missed_nothing(self, peer);
    return behind ? DiskState::Inconsistent : self.disk;
}

HandshakeResult decide_handshake(const StateReport& self, const StateReport& peer, bool self_orders) {
    if (self.disk == DiskState::Diskless || peer.disk == DiskState::Diskless)
        return sync(1, Direction::none, Extent::bitmap);
    if (self.data_size != peer.data_size) return refuse(2, Disagreement::sizes_differ);
    if (both_caches_lost(self, peer)) return refuse(3, Disagreement::both_caches_lost);
    auto result = compare_generations(self, peer, self_orders);
    result = apply_discard(prefer_consistent(result, self, peer), self, peer);
    if (result.disagreement != Disagreement::none) return result;
    if (result.direction == Direction::none) return result;
    const auto& source = result.direction == Direction::source ? self : peer;
    const auto& target = result.direction == Direction::source ? peer : self;
    if (!is_consistent(source.disk)) return refuse(result.rule, Disagreement::source_not_consistent);
    if (target.role == Role::Primary && is_consistent(target.disk) && !writes_again(result.rule, self, peer, target)) {
        return refuse(result.rule, Disagreement::primary_would_lose);
    }
    return result;
}

std::string_view to_string(Disagreement disagreement) {
    switch (disagreement) {
        case Disagreement::none:
            return "none";
        case Disagreement::split_brain:
            return "Split-Brain detected but unresolved, dropping connection!";
        case Disagreement::unrelated:
            return "Unrelated data, aborting!";
        case Disagreement::sizes_differ:
            return "The backing disks have different sizes";
        case Disagreement::source_not_consistent:
            return "The side with the newer generation is Inconsistent";
        case Disagreement::primary_would_lose:
            return "I shall become SyncTarget, but I am primary!";
        case Disagreement::both_caches_lost:
            return "Both disks failed to flush, and what was answered before may be on neither: end the mounts of both "
                   "nodes, then restart blockrepd on both";
    }
    return "?";
}

}  // namespace blockrep
