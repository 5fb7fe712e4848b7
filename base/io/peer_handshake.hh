// The first frames of a peer connection, until both ends have proved that they know the secret.
#pragma once

#include "base/io/framed_socket.hh"
#include "base/io/peer_proof.hh"

namespace base {

// Exactly one of the callbacks, on the loop thread, unless it is destroyed first.
class PeerHandshake {
  public:
    PeerHandshake(EventLoop& loop, std::shared_ptr<FramedSocket> socket, PeerRole role, const PeerOptions& options,
                  PeerConnected connected, PeerRefused refused);
    ~PeerHandshake();

  private:
    void on_frame(const FrameDecoder::Frame& frame);
    Result<void> on_hello(ByteView message);
    Result<void> on_proof(ByteView message);
    void send_own_hello();
    void send_own_proof();
    void succeed();
    void refuse(const Error& why);
    Error refused_by_peer(ByteView text) const;
    void finish_refused(const Error& why);
    PeerRole other_role() const { return role_ == PeerRole::caller ? PeerRole::acceptor : PeerRole::caller; }

    std::shared_ptr<FramedSocket> socket_;
    const PeerRole role_;
    const PeerOptions options_;
    PeerConnected connected_;
    PeerRefused refused_;
    PeerTranscript transcript_;
    bool have_hello_ = false;
    NodeId peer_;
    EventLoop::Handle limit_;
};

}  // namespace base
