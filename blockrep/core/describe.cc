// Status and invariants: one source for people, crash reports and tests.
#include <algorithm>

#include "blockrep/core/resource_state.hh"

namespace blockrep {
namespace {

void describe_generations(base::JsonWriter& json, const Generations& generations) {
    json.key("generations").begin_object();
    json.member("current", generations.current).member("bitmap", generations.bitmap);
    json.key("history").begin_array();
    for (const auto id : generations.history) json.value(id);
    json.end_array().end_object();
}

}  // namespace

void Resource::State::describe(base::JsonWriter& json) const {
    json.begin_object();
    json.member("name", settings.name);
    json.member("node-id", settings.self.node.value);
    json.member("role", to_string(role));
    json.member("suspended", !frozen_because().empty());
    json.member("suspended-because", frozen_because());
    json.member("disk-state", to_string(disk));
    json.member("size", geometry.data_size);
    json.member("out-of-sync", bitmap.count() * bitmap_block);
    json.member("activity-log-extents", std::uint64_t{log.hot()});
    json.member("openers", openers);
    json.member("upper-pending", std::uint64_t{queue.size() + writes.size() + flushes.size() + remote_reads.size()});
    json.member("not-started", std::uint64_t{queue.size()});
    json.member("lower-pending", std::uint64_t{local.size()});
    describe_generations(json, superblock.generations);
    json.key("connection").begin_object();
    json.member("name", settings.peer_name);
    json.member("peer-node-id", settings.peer.value);
    json.member("connection-state", to_string(connection));
    json.member("peer-role", to_string(peer_role));
    json.member("replication-state", to_string(session_up ? replication : ReplicationState::Off));
    json.member("peer-disk-state", to_string(peer_disk));
    json.member("alone", alone);
    const auto unanswered =
        std::count_if(writes.begin(), writes.end(), [](const auto& entry) { return entry.second.remote_pending; });
    json.member("pending", static_cast<std::uint64_t>(unanswered) + peer_flushes.size() + remote_reads.size());
    json.member("unacked", std::uint64_t{applying.size() + serving.size()});
    json.member("fence-requested", fence_requested);
    if (link_lost_at) json.member("link-lost-for-ms", (now - *link_lost_at).to_milliseconds());
    const bool syncing =
        session_up && (replication == ReplicationState::SyncSource || replication == ReplicationState::SyncTarget);
    if (syncing && resync_total != 0) {
        const auto left = std::min(bitmap.count(), resync_total);
        json.member("percent-in-sync",
                    100.0 * static_cast<double>(resync_total - left) / static_cast<double>(resync_total));
    }
    json.end_object();
    json.end_object();
}

void Resource::State::check_invariants() const {
    session.check_invariants();
    base::ensure(own_ranges.size() == writes.size(), "the ranges of own writes are those of the writes");
    for (const auto& [id, write] : writes)
        base::ensure(own_ranges.overlap(write.request.range), "a write's range is noted");
    for (auto a = writes.begin(); a != writes.end(); ++a) {
        for (auto b = std::next(a); b != writes.end(); ++b) {
            base::ensure(!a->second.request.range.overlaps(b->second.request.range), "own writes overlap in flight");
        }
    }
    for (auto a = chunks.begin(); a != chunks.end(); ++a) {
        for (auto b = std::next(a); b != chunks.end(); ++b) {
            base::ensure(!a->second.range.overlaps(b->second.range), "resync chunks overlap");
        }
        base::ensure(!overlaps_own_write(a->second.range), "a resync chunk overlaps an own write");
    }
    base::ensure(chunks.empty() || replication == ReplicationState::SyncSource, "a resync chunk without a resync");
    base::ensure(!alone || disk == DiskState::UpToDate, "going on alone without UpToDate data");
    base::ensure(!(alone && peer_stores()), "alone, and yet replicating");
    base::ensure(session_up || replication == ReplicationState::Off, "a replication state without a session");
}

}  // namespace blockrep
