// One stream of messages to one session of a peer, over connections that come and go. Pure: frames in, frames out.
//
// Use: on a new connection send hello() first; the first frame received must be a LinkHello, given to on_hello(), which
// returns what to send. Then send() and on_frame(). Nothing is lost or doubled as long as both sessions live.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/sequenced_session.hh"
#include "dlm/format/link_frame.hh"
#include "dlm/format/message.hh"

namespace dlm {

class Link {
  public:
    Link(std::uint64_t lockspace, const base::Uuid& own_session, const base::Uuid& peer_session)
        : lockspace_(lockspace), peer_(peer_session), session_(own_session) {}

    base::Bytes hello() const { return encode(LinkFrame(LinkHello{lockspace_, session_.hello()})); }

    // Frames to be sent again, in order. An Error: not the same two sessions, drop the connection.
    base::Result<std::vector<base::Bytes>> on_hello(const LinkHello& hello);

    // The frame to be sent now if there is a connection (after the hellos); it is kept anyway.
    base::Bytes send(const PeerMessage& message);

    // An Error: drop the connection. Nothing: an acknowledgement or a duplicate.
    base::Result<std::optional<PeerMessage>> on_frame(base::ByteView bytes);

    // Messages received since the peer was last told.
    std::size_t unacknowledged() const { return unacknowledged_; }
    base::Bytes acknowledge();
    std::size_t kept() const { return session_.kept(); }

  private:
    using Kept = std::shared_ptr<const base::Bytes>;
    base::Bytes frame_of(const base::SequencedSession<Kept>::Numbered& numbered);

    std::uint64_t lockspace_;
    base::Uuid peer_;
    base::SequencedSession<Kept> session_;
    std::size_t unacknowledged_ = 0;
};

}  // namespace dlm
