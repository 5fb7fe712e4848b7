#include "blockrep/driver/peer_link.hh"

#include <algorithm>

#include "base/io/log.hh"

namespace blockrep {
namespace {

constexpr auto first_retry = base::Duration::milliseconds(50);
constexpr auto longest_retry = base::Duration::milliseconds(250);

}  // namespace

PeerLink::PeerLink(base::EventLoop& loop, Options options, Callbacks callbacks)
    : loop_(loop), options_(std::move(options)), callbacks_(std::move(callbacks)), retry_after_(first_retry) {}

PeerLink::~PeerLink() { close(); }

void PeerLink::open() {
    if (wanted_) return;
    wanted_ = true;
    retry_after_ = first_retry;
    retry_ = loop_.after({}, [this] { try_again(); });
}

void PeerLink::close() {
    wanted_ = false;
    problem_.clear();
    retry_.reset();
    // We may be inside a callback of theirs.
    loop_.post([listener = std::move(listener_), dial = std::move(dial_)] {});
    listener_.reset();
    dial_.reset();
    drop_connection();
}

void PeerLink::drop_connection() {
    if (connection_) connection_->close();
    // The callers of our callbacks may still be at work inside it.
    if (connection_) loop_.post([kept = std::move(connection_)] {});
    connection_.reset();
}

void PeerLink::try_again() {
    if (calls()) return dial();
    if (!listener_) listen();
}

void PeerLink::note_problem(const base::Error& why) {
    auto text = why.message();
    if (why.code == std::errc::permission_denied)
        text += " (" + options_.secret_place + " must say the same on both nodes)";
    if (problem_ != text) base::log_info("link to {}: {}", options_.remote.text(), text);
    problem_ = std::move(text);
}

void PeerLink::try_later(const base::Error& why) {
    note_problem(why);
    if (!wanted_) return;
    retry_ = loop_.after(retry_after_, [this] { try_again(); });
    retry_after_ = std::min(retry_after_ * 2, longest_retry);
}

void PeerLink::dial() {
    const auto done_dialing = [this] {
        // It runs us: it may go only after it has returned.
        loop_.post([kept = std::move(dial_)] {});
        dial_.reset();
    };
    dial_ = base::PeerDial::start(
        loop_, options_.remote, options_.local.host, options_.peer,
        [this, done_dialing](std::shared_ptr<base::PeerConnection> connection) {
            done_dialing();
            adopt(std::move(connection));
        },
        [this, done_dialing](const base::Error& why) {
            done_dialing();
            try_later(why);
        });
}

void PeerLink::listen() {
    auto listener = base::PeerListener::listen(
        loop_, options_.local, options_.peer,
        [this](std::shared_ptr<base::PeerConnection> connection) { adopt(std::move(connection)); },
        [this](const base::Error& why) { caller_refused(why); });
    if (!listener) return try_later(listener.error());
    listener_ = *std::move(listener);
    problem_ = "waiting for " + options_.remote.host + " to call";
}

// Who speaks our service and has another secret is most likely the peer; anybody else says nothing about the link.
void PeerLink::caller_refused(const base::Error& why) {
    if (!connection_ && why.code == std::errc::permission_denied) return note_problem(why);
    base::log_info("link: a caller was refused: {}", why.message());
}

void PeerLink::adopt(std::shared_ptr<base::PeerConnection> connection) {
    if (!wanted_ || connection->peer() != options_.expected) {
        connection->close();
        if (wanted_) try_later({std::make_error_code(std::errc::connection_refused), "another node answered"});
        return;
    }
    if (connection_) lost("the peer called anew");
    if (!wanted_) return connection->close();
    connection_ = std::move(connection);
    problem_.clear();
    retry_.reset();
    retry_after_ = first_retry;
    base::PeerConnection::Callbacks callbacks;
    const auto raw = connection_.get();
    callbacks.received = [this, raw](base::ByteView message, std::shared_ptr<base::AlignedBuffer> payload) {
        if (connection_.get() == raw) callbacks_.received(message, std::move(payload));
    };
    callbacks.closed = [this, raw](const base::Error& why) {
        if (connection_.get() == raw) lost(why.message());
    };
    connection_->start(std::move(callbacks));
    callbacks_.opened();
}

void PeerLink::lost(const std::string& why) {
    drop_connection();
    problem_ = why;
    if (wanted_) retry_ = loop_.after({}, [this] { try_again(); });
    callbacks_.closed(why);
}

void PeerLink::fail(const std::string& why) {
    if (!connection_) return;
    connection_->close();
    const auto raw = connection_.get();
    loop_.post([this, alive = std::weak_ptr<int>(alive_), raw, why] {
        if (alive.lock() && connection_.get() == raw) lost(why);
    });
}

void PeerLink::send(base::Bytes message, base::OutgoingPayload payload) {
    if (connection_) connection_->send(std::move(message), std::move(payload));
}

}  // namespace blockrep
