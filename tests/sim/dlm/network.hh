// Connections between sessions: frames in order, with delays; a connection may be reset, what was on its way is lost.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/bytes.hh"
#include "base/node.hh"
#include "tests/sim/common/random.hh"
#include "tests/sim/common/scheduler.hh"

namespace sim_dlm {

class Network {
  public:
    using Session = base::Uuid;
    struct Endpoint {
        base::NodeId node;
        // A connection to that session exists from now on, a fresh one.
        std::function<void(const Session& peer)> connected;
        std::function<void(const Session& peer, const base::Bytes& frame)> received;
        // Would this endpoint talk to that session now?
        std::function<bool(const Session& peer)> wants;
    };
    // Whether what the first sends gets to the second.
    using Reach = std::function<bool(base::NodeId, base::NodeId)>;

    Network(sim::Scheduler& scheduler, sim::Random random, Reach reach);

    void add(const Session& session, Endpoint endpoint) { endpoints_[session] = std::move(endpoint); }
    void remove(const Session& session);
    // False: not connected, or the connection broke.
    void send(const Session& from, const Session& to, base::Bytes frame);
    // One end gives up the connection.
    void reset(const Session& one, const Session& other) { connections_.erase(key(one, other)); }
    void reset_some(std::uint64_t percent);

  private:
    struct Connection {
        std::map<Session, base::Instant> last_arrival;
    };
    using Key = std::pair<Session, Session>;
    static Key key(const Session& a, const Session& b) { return a < b ? Key{a, b} : Key{b, a}; }
    void connect_all();

    sim::Scheduler& scheduler_;
    sim::Random random_;
    Reach reach_;
    std::map<Session, Endpoint> endpoints_;
    std::map<Key, std::shared_ptr<Connection>> connections_;
};

}  // namespace sim_dlm
