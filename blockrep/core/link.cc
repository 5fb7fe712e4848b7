// The stream to the peer: hellos, numbering, and what to do when it breaks or the peer talks nonsense.
#include "base/probe.hh"
#include "blockrep/core/resource_state.hh"

namespace blockrep {
namespace {

base::Probe probe_link_resumed("blockrep: the link is back and the session goes on");
base::Probe probe_peer_is_new("blockrep: the peer comes back as a new process");

constexpr std::uint64_t acknowledge_every = 64;  // messages received without anything to send

}  // namespace

void Resource::State::send(Message message, Payload payload) {
    const auto& kept = session.enqueue({std::move(message), std::move(payload)});
    if (!link_open || !hello_seen) return;
    unacknowledged = 0;
    act(SendFrame{Numbered{kept.sequence, session.received(), kept.message.message}, kept.message.payload});
}

void Resource::State::open_link() {
    connection = ConnectionState::Connecting;
    act(OpenLink{});
}

// Gives up the session on purpose. The peer will take it for the end of our process and may go on alone, so from here
// on only a handshake can tell whether our data is the newest.
void Resource::State::restart_link(const std::string& why) {
    if (leave) return leave_done();  // a pending disconnect ends with the session, and no link is opened again
    close_link(why);
    if (session_up) lose_peer(LossReason::given_up);
    reset_session();
    if (connection != ConnectionState::StandAlone) open_link();
}

void Resource::State::close_link(const std::string& why) {
    link_open = false;
    hello_seen = false;
    act(CloseLink{why});
}

void Resource::State::reset_session() {
    forget_acknowledged();
    answered.clear();
    session.restart(random_uuid());
    ++session_number;
    session_up = false;
    session_poisoned = false;
    unacknowledged = 0;
}

void Resource::State::link_opened() {
    if (connection == ConnectionState::StandAlone) return act(CloseLink{"StandAlone"});
    if (session_poisoned) return close_link("waiting until the peer is fenced");
    link_open = true;
    hello_seen = false;
    act(SendFrame{Hello{wire_version, settings.self.incarnation, process, session.hello()}, {}});
}

void Resource::State::link_closed(const std::string& why) {
    if (!link_open) return;
    link_open = false;
    hello_seen = false;
    if (connection == ConnectionState::StandAlone) return;
    connection = ConnectionState::Connecting;
    if (leave) return leave_done();
    if (!session_up) return;
    report("link lost: " + why);
    if (!link_lost_at) {
        link_lost_at = now;
        grace_over = false;
    }
}

// Only a Primary with UpToDate data cannot just begin anew: the peer would go on alone, and so should we.
void Resource::State::bad_peer(const std::string& what) {
    report("the peer broke the protocol (" + what + "): dropping the connection");
    const bool at_stake = session_up && role == Role::Primary && disk == DiskState::UpToDate && !alone;
    if (!at_stake) return restart_link(what);
    close_link(what);
    session_poisoned = true;
    link_lost_at = now;
    grace_over = false;
    connection = ConnectionState::Connecting;
}

void Resource::State::frame(const Frame& frame, const Payload& payload) {
    if (!link_open) return;
    if (const auto* said = std::get_if<Hello>(&frame)) return hello(*said);
    if (!hello_seen) return;  // of a session that we have given up
    if (const auto* message = std::get_if<Numbered>(&frame)) return numbered(*message, payload);
    if (!session.on_acknowledged(std::get<Acknowledge>(frame).received)) bad_peer("an impossible acknowledgement");
}

void Resource::State::hello(const Hello& hello) {
    if (hello_seen) return bad_peer("a second hello");
    const auto verdict_of_session = session.on_hello(hello.session);
    if (verdict_of_session == base::SessionVerdict::broken) return new_process(hello);
    hello_seen = true;
    connection = ConnectionState::Connected;
    link_lost_at.reset();
    if (fence_requested) {
        fence_requested = false;
        act(WithdrawFence{{settings.peer, peer_incarnation}});
    }
    peer_incarnation = hello.incarnation;
    if (peer_process != hello.process) {
        peer_process = hello.process;
        remembered.clear();
    }
    for (const auto& kept : session.retransmission()) {
        act(SendFrame{Numbered{kept.sequence, session.received(), kept.message.message}, kept.message.payload});
    }
    if (!session_up) {
        report("connected");
        start_negotiation();
    } else {
        report("link is back, nothing was lost");
        probe_link_resumed.hit();
        if (!negotiating) resend_in_flight();  // what became due while it was down
    }
}

// The peer's process is not the one that we spoke with: that one is gone, and this one starts from its disk.
void Resource::State::new_process(const Hello& hello) {
    const bool same_process = session_up && hello.session.own_session == session.peer_session();
    if (same_process) return bad_peer("it forgot what it had received");
    close_link("the peer's process is a new one");
    probe_peer_is_new.hit();
    if (session_up) lose_peer(LossReason::new_process);
    reset_session();
    open_link();
}

void Resource::State::numbered(const Numbered& numbered, const Payload& payload) {
    if (!session.on_acknowledged(numbered.received)) return bad_peer("an impossible acknowledgement");
    using Arrival = decltype(session)::Arrival;
    const auto arrival = session.on_arrived(numbered.sequence);
    if (arrival == Arrival::duplicate) return;
    if (arrival == Arrival::gap) return bad_peer("a gap in its messages");
    ++unacknowledged;
    deliver(numbered.message, payload);
    if (unacknowledged >= acknowledge_every && link_open && hello_seen) {
        unacknowledged = 0;
        act(SendFrame{Acknowledge{session.received()}, {}});
    }
}

void Resource::State::deliver(const Message& message, const Payload& payload) {
    std::visit([&](const auto& content) { on(content, payload); }, message);
}

}  // namespace blockrep
