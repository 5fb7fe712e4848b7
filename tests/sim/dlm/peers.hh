// The links of one session to the others: what dlm/driver/mesh does over TCP, here over the simulated network.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "dlm/core/link.hh"
#include "tests/sim/dlm/network.hh"

namespace sim_dlm {

class Peers {
  public:
    using Arrived = std::function<void(const base::Uuid& from, const dlm::PeerMessage& message)>;

    Peers(Network& network, base::NodeId node, const base::Uuid& session, Arrived arrived);
    ~Peers();
    Peers(const Peers&) = delete;
    Peers& operator=(const Peers&) = delete;

    void open(const base::Uuid& peer);
    void close(const base::Uuid& peer);
    void send(const base::Uuid& peer, const dlm::PeerMessage& message);

  private:
    struct Peer {
        std::unique_ptr<dlm::Link> link;
        bool greeted = false;
    };
    void received(const base::Uuid& from, const base::Bytes& frame);

    Network& network_;
    base::Uuid session_;
    Arrived arrived_;
    std::map<base::Uuid, Peer> peers_;
};

}  // namespace sim_dlm
