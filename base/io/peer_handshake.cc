#include "base/io/peer_handshake.hh"

#include "base/io/random.hh"

namespace base {
namespace {

std::unexpected<Error> wrong_secret(const std::string& address) {
    return failure(std::errc::permission_denied, "wrong shared secret: " + address + " does not know ours");
}

}  // namespace

PeerHandshake::PeerHandshake(EventLoop& loop, std::shared_ptr<FramedSocket> socket, PeerRole role,
                             const PeerOptions& options, PeerConnected connected, PeerRefused refused)
    : socket_(std::move(socket)),
      role_(role),
      options_(options),
      connected_(std::move(connected)),
      refused_(std::move(refused)) {
    ensure(!options_.secret.empty(), "a peer connection without a secret");
    limit_ = loop.after(options_.handshake_limit, [this] {
        finish_refused({std::make_error_code(std::errc::timed_out), socket_->remote_address() + " does not answer"});
    });
    socket_->open([this](const FrameDecoder::Frame& frame) { on_frame(frame); },
                  [this](const Error& why) { finish_refused(why); });
    if (role_ == PeerRole::caller) send_own_hello();
}

PeerHandshake::~PeerHandshake() {
    if (socket_) socket_->close();
}

void PeerHandshake::on_frame(const FrameDecoder::Frame& frame) {
    Result<void> taken = failure(std::errc::bad_message, socket_->remote_address() + " speaks before it is known");
    if (frame.kind == FrameKind::hello) taken = on_hello(frame.message);
    if (frame.kind == FrameKind::proof) taken = on_proof(frame.message);
    if (frame.kind == FrameKind::refused) return finish_refused(refused_by_peer(frame.message));
    if (!taken) refuse(taken.error());
}

Result<void> PeerHandshake::on_hello(ByteView message) {
    if (have_hello_) return failure(std::errc::bad_message, "a second greeting");
    BASE_ASSIGN(const auto hello, decode_hello(message));
    if (hello.role != other_role()) return failure(std::errc::bad_message, "a reflected greeting");
    if (hello.service != options_.service) {
        return failure(std::errc::bad_message,
                       "this is \"" + options_.service + "\", the peer wants \"" + hello.service + "\"");
    }
    if (hello.node == options_.self) {
        return failure(std::errc::invalid_argument, "the peer has our own node id " + std::to_string(hello.node.value));
    }
    have_hello_ = true;
    peer_ = hello.node;
    auto& theirs = role_ == PeerRole::caller ? transcript_.acceptor_hello : transcript_.caller_hello;
    theirs.assign(message.begin(), message.end());
    if (role_ == PeerRole::acceptor) send_own_hello();
    if (role_ == PeerRole::caller) send_own_proof();
    return {};
}

Result<void> PeerHandshake::on_proof(ByteView message) {
    if (!have_hello_) return failure(std::errc::bad_message, "a proof before a greeting");
    if (!is_proof(message, prove(options_.secret, other_role(), transcript_)))
        return wrong_secret(socket_->remote_address());
    socket_->seed_receiving(frame_seed(options_.secret, transcript_));
    if (role_ == PeerRole::acceptor) send_own_proof();
    succeed();
    return {};
}

void PeerHandshake::send_own_hello() {
    PeerHello hello{role_, options_.service, options_.self, {}};
    fill_random(hello.nonce);
    auto& ours = role_ == PeerRole::caller ? transcript_.caller_hello : transcript_.acceptor_hello;
    ours = encode_hello(hello);
    socket_->send_frame(FrameKind::hello, ours, {});
}

void PeerHandshake::send_own_proof() {
    const auto proof = prove(options_.secret, role_, transcript_);
    socket_->send_frame(FrameKind::proof, Bytes(proof.begin(), proof.end()), {});
    socket_->seed_sending(frame_seed(options_.secret, transcript_));
}

void PeerHandshake::succeed() {
    limit_.reset();
    const auto socket = std::exchange(socket_, nullptr);
    socket->become_connection(peer_, options_);
    // The callback may destroy this object.
    const auto connected = std::exchange(connected_, nullptr);
    refused_ = nullptr;
    connected(socket);
}

void PeerHandshake::refuse(const Error& why) {
    const auto text = as_bytes(why.detail);
    socket_->send_frame(FrameKind::refused, Bytes(text.begin(), text.end()), {});
    finish_refused(why);
}

// An acceptor that did not like our greeting has not seen our proof, and one that shows its own has found ours right.
Error PeerHandshake::refused_by_peer(ByteView text) const {
    const bool proof_was_judged = role_ == PeerRole::caller && have_hello_;
    return {std::make_error_code(proof_was_judged ? std::errc::permission_denied : std::errc::connection_refused),
            socket_->remote_address() + " refused us: " + std::string(as_text(text).substr(0, 500))};
}

void PeerHandshake::finish_refused(const Error& why) {
    limit_.reset();
    const auto socket = std::exchange(socket_, nullptr);
    if (!socket) return;
    socket->close();
    connected_ = nullptr;
    if (const auto refused = std::exchange(refused_, nullptr)) refused(why);
}

}  // namespace base
