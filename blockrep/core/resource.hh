// One replicated device on one node: roles, disk, link, conflicts, resync, freeze. Pure (blockrep/README.md).
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/json_writer.hh"
#include "base/time.hh"
#include "blockrep/core/action.hh"

namespace blockrep {

struct Settings {
    std::string name;
    base::NodeIncarnation self;
    base::NodeId peer;  // the node with the lower number orders conflicting writes
    std::string peer_name;
    bool allow_two_primaries = false;
    bool fencing = true;  // false: goes on without its peer at once (dont-care), split brain included
    std::uint32_t al_extents = 1237;
    base::Duration reconnect_grace = base::Duration::seconds(1);  // a broken connection may come back before the peer
                                                                  // counts as lost
    std::uint32_t resync_chunks = 16;                             // in flight at once
    std::uint64_t resync_chunk_length = 512 * 1024;               // bytes
    std::uint64_t seed = 0;                                       // of generation ids and sessions: truly random
};

class Resource {
  public:
    explicit Resource(Settings settings);
    ~Resource();

    // Total: every event in every state. Actions are appended.
    void step(Event event, base::Instant now, Actions& actions);
    std::optional<base::Instant> next_deadline() const;
    void check_invariants() const;
    void describe(base::JsonWriter& json, base::Instant now) const;

    Role role() const;
    Role peer_role() const;
    DiskState disk() const;
    DiskState peer_disk() const;
    ConnectionState connection() const;
    ReplicationState replication() const;
    std::uint64_t data_size() const;  // bytes; 0 while neither disk is known
    std::uint64_t dirty_bytes() const;
    // Why client I/O waits, in words; empty when it does not.
    std::string frozen_because() const;
    // Requests of clients that are not answered yet.
    std::size_t requests_in_flight() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace blockrep
