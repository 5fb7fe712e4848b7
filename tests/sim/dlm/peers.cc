#include "tests/sim/dlm/peers.hh"

#include "tests/sim/common/run_seeds.hh"

namespace sim_dlm {
namespace {

constexpr std::uint64_t lockspace_key = 7;
constexpr std::size_t acknowledge_after = 8;  // messages

}  // namespace

Peers::Peers(Network& network, base::NodeId node, const base::Uuid& session, Arrived arrived)
    : network_(network), session_(session), arrived_(std::move(arrived)) {
    network_.add(session_, {node,
                            [this](const base::Uuid& peer) {
                                peers_.at(peer).greeted = false;
                                network_.send(session_, peer, peers_.at(peer).link->hello());
                            },
                            [this](const base::Uuid& peer, const base::Bytes& frame) { received(peer, frame); },
                            [this](const base::Uuid& peer) { return peers_.contains(peer); }});
}

Peers::~Peers() { network_.remove(session_); }

void Peers::open(const base::Uuid& peer) {
    peers_[peer].link = std::make_unique<dlm::Link>(lockspace_key, session_, peer);
}

void Peers::close(const base::Uuid& peer) {
    peers_.erase(peer);
    network_.reset(session_, peer);
}

void Peers::send(const base::Uuid& to, const dlm::PeerMessage& message) {
    auto& peer = peers_.at(to);
    auto frame = peer.link->send(message);
    if (peer.greeted) network_.send(session_, to, std::move(frame));
}

void Peers::received(const base::Uuid& from, const base::Bytes& frame) {
    const auto found = peers_.find(from);
    if (found == peers_.end()) return;
    auto& peer = found->second;
    if (!peer.greeted) {
        const auto decoded = dlm::decode_link_frame(frame);
        const auto again = peer.link->on_hello(std::get<dlm::LinkHello>(decoded.value()));
        if (!again) throw sim::Violation("a living session was forgotten: " + again.error().message());
        peer.greeted = true;
        for (const auto& each : *again) network_.send(session_, from, each);
        return;
    }
    const auto message = peer.link->on_frame(frame);
    if (!message) throw sim::Violation("a bad frame: " + message.error().message());
    if (peer.link->unacknowledged() >= acknowledge_after) network_.send(session_, from, peer.link->acknowledge());
    if (!*message) return;
    const auto arrived = arrived_;  // which may end these links
    arrived(from, **message);
}

}  // namespace sim_dlm
