// The connection of one resource to its peer: made again and again while it is wanted.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/io/event_loop.hh"
#include "base/io/peer_connection.hh"

namespace blockrep {

// The node with the higher number calls, the other one listens: so there are never two connections to choose from.
// Loop thread only; callbacks from the loop, never from inside a call.
class PeerLink {
  public:
    struct Options {
        base::PeerEndpoint local;
        base::PeerEndpoint remote;
        base::PeerOptions peer;
        base::NodeId expected;     // who must be at the other end
        std::string secret_place;  // where the secret was written: for messages
    };
    struct Callbacks {
        std::function<void()> opened;
        std::function<void(const std::string& why)> closed;  // not after close()
        std::function<void(base::ByteView message, std::shared_ptr<base::AlignedBuffer> payload)> received;
    };
    PeerLink(base::EventLoop& loop, Options options, Callbacks callbacks);
    ~PeerLink();

    // From now on, and again after every loss, until close().
    void open();
    void close();
    // Dropped when there is no connection.
    void send(base::Bytes message, base::OutgoingPayload payload);
    // The connection that stands cannot be trusted: closed() follows.
    void fail(const std::string& why);
    // Why there is no connection; empty when there is one or none is wanted. Logged when it changes.
    const std::string& problem() const { return problem_; }

  private:
    bool calls() const { return options_.expected < options_.peer.self; }
    void try_again();
    void try_later(const base::Error& why);
    void caller_refused(const base::Error& why);
    void note_problem(const base::Error& why);
    void dial();
    void listen();
    void adopt(std::shared_ptr<base::PeerConnection> connection);
    void lost(const std::string& why);
    void drop_connection();

    base::EventLoop& loop_;
    const Options options_;
    Callbacks callbacks_;
    bool wanted_ = false;
    std::string problem_;
    base::Duration retry_after_;
    base::EventLoop::Handle retry_;
    std::shared_ptr<base::PeerListener> listener_;
    std::shared_ptr<base::PeerDial> dial_;
    std::shared_ptr<base::PeerConnection> connection_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace blockrep
