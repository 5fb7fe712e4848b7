// One reliable, ordered stream of messages between two processes, over connections that come and go: what was sent and
// not yet acknowledged is kept and sent again after a reconnect, what arrives twice is dropped. As long as both
// processes live, a broken connection loses nothing; when one of them was started anew, that is told apart at once.
// Pure: the driver owns the connection; Message is cheap to copy (a handle).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/ensure.hh"
#include "base/uuid.hh"

namespace base {

// First thing each side says on a new connection.
struct SessionHello {
    Uuid own_session;            // of the speaker; made anew at each process start
    Uuid known_peer_session;     // the listener's session that the speaker has been talking to; nil: none yet
    std::uint64_t received = 0;  // highest sequence number that the speaker has received in it
    bool operator==(const SessionHello&) const = default;
};

enum class SessionVerdict {
    fresh,    // neither side had spoken to the other: sequence numbers start at 1
    resumed,  // same two processes as before: go on, retransmit what the peer has not received
    broken,   // the peer is another process than before, or has forgotten us: the old stream is lost
};

template <typename Message>
class SequencedSession {
  public:
    struct Numbered {
        std::uint64_t sequence = 0;
        Message message;
    };

    explicit SequencedSession(const Uuid& own_session) : own_(own_session) {}

    SessionHello hello() const { return {own_, peer_, received_}; }

    // The peer's hello. After `broken` the session refuses all use until restart() is called.
    SessionVerdict on_hello(const SessionHello& theirs) {
        const bool we_know = !peer_.is_nil();
        const bool they_know = !theirs.known_peer_session.is_nil();
        if (!we_know && !they_know) {
            // Messages may have been queued before the first connection: they are kept and sent now.
            peer_ = theirs.own_session;
            return SessionVerdict::fresh;
        }
        const bool same_peer = !we_know || peer_ == theirs.own_session;
        const bool knows_this_life = !they_know || theirs.known_peer_session == own_;
        // One side may have seen the other's hello on a connection that broke before its own arrived.
        const bool nothing_lost = theirs.received >= acknowledged_ && theirs.received < next_ &&
                                  (they_know || acknowledged_ == 0) && (we_know || received_ == 0);
        if (!same_peer || !knows_this_life || !nothing_lost) return SessionVerdict::broken;
        peer_ = theirs.own_session;
        ensure(on_acknowledged(theirs.received), "a received count that was checked");
        return SessionVerdict::resumed;
    }

    // Numbers a message and keeps it until it is acknowledged. Send it if connected; if not, retransmission() has it.
    const Numbered& enqueue(Message message) {
        kept_.push_back({next_++, std::move(message)});
        return kept_.back();
    }

    // What to send after a hello that was answered `fresh` or `resumed`, in order.
    const std::deque<Numbered>& retransmission() const { return kept_; }

    enum class Arrival { deliver, duplicate, gap };
    // A numbered message arrived. `gap` means a broken peer: drop the connection.
    Arrival on_arrived(std::uint64_t sequence) {
        if (sequence <= received_) return Arrival::duplicate;
        if (sequence != received_ + 1) return Arrival::gap;
        received_ = sequence;
        return Arrival::deliver;
    }

    // Highest sequence number received: to be told to the peer now and then (each frame carries it).
    std::uint64_t received() const { return received_; }

    // The peer has received everything up to `sequence`. False: it claims what was never sent (drop the connection).
    [[nodiscard]] bool on_acknowledged(std::uint64_t sequence) {
        if (sequence >= next_) return false;
        while (!kept_.empty() && kept_.front().sequence <= sequence) kept_.pop_front();
        if (sequence > acknowledged_) acknowledged_ = sequence;
        return true;
    }

    // Forgets the peer and everything kept; a later hello starts from 1 with a new identity.
    void restart(const Uuid& own_session) { *this = SequencedSession(own_session); }

    const Uuid& peer_session() const { return peer_; }
    // Highest sequence number that the peer is known to have received.
    std::uint64_t acknowledged() const { return acknowledged_; }
    // Number of the last message that was enqueued.
    std::uint64_t last_sent() const { return next_ - 1; }
    std::size_t kept() const { return kept_.size(); }

    void check_invariants() const {
        ensure(acknowledged_ < next_, "acknowledged more than was sent");
        ensure(kept_.empty() || kept_.front().sequence == acknowledged_ + 1, "a kept message is missing");
        ensure(kept_.empty() || kept_.back().sequence + 1 == next_, "kept messages are not the last ones");
    }

  private:
    Uuid own_;
    Uuid peer_;
    std::uint64_t next_ = 1;
    std::uint64_t acknowledged_ = 0;
    std::uint64_t received_ = 0;
    std::deque<Numbered> kept_;
};

}  // namespace base
