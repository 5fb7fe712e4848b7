#include "dlm/core/link.hh"

#include "dlm/format/error.hh"

namespace dlm {

base::Result<std::vector<base::Bytes>> Link::on_hello(const LinkHello& hello) {
    if (hello.lockspace != lockspace_ || hello.session.own_session != peer_) {
        return base::failure(Errc::bad_field, "a hello of another lockspace or session");
    }
    if (session_.on_hello(hello.session) == base::SessionVerdict::broken) {
        return base::failure(Errc::bad_field, "the peer has forgotten this session");
    }
    std::vector<base::Bytes> frames;
    for (const auto& numbered : session_.retransmission()) frames.push_back(frame_of(numbered));
    return frames;
}

base::Bytes Link::frame_of(const base::SequencedSession<Kept>::Numbered& numbered) {
    unacknowledged_ = 0;
    return encode(LinkFrame(LinkData{numbered.sequence, session_.received(), *numbered.message}));
}

base::Bytes Link::send(const PeerMessage& message) {
    return frame_of(session_.enqueue(std::make_shared<const base::Bytes>(encode(message))));
}

base::Result<std::optional<PeerMessage>> Link::on_frame(base::ByteView bytes) {
    BASE_ASSIGN(const auto frame, decode_link_frame(bytes));
    if (const auto* acknowledgement = std::get_if<LinkAcknowledgement>(&frame)) {
        if (session_.on_acknowledged(acknowledgement->acknowledged)) return std::nullopt;
        return base::failure(Errc::bad_field, "acknowledged what was never sent");
    }
    const auto* data = std::get_if<LinkData>(&frame);
    if (data == nullptr) return base::failure(Errc::bad_type, "a second hello");
    if (!session_.on_acknowledged(data->acknowledged)) {
        return base::failure(Errc::bad_field, "acknowledged what was never sent");
    }
    BASE_ASSIGN(auto message, decode_peer_message(data->message));
    switch (session_.on_arrived(data->sequence)) {
        case base::SequencedSession<Kept>::Arrival::deliver:
            break;
        case base::SequencedSession<Kept>::Arrival::duplicate:
            return std::nullopt;
        case base::SequencedSession<Kept>::Arrival::gap:
            return base::failure(Errc::bad_field, "a message is missing");
    }
    ++unacknowledged_;
    return std::optional(std::move(message));
}

base::Bytes Link::acknowledge() {
    unacknowledged_ = 0;
    return encode(LinkFrame(LinkAcknowledgement{session_.received()}));
}

}  // namespace dlm
