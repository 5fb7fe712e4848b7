// The connections to the other members: one link for each session, whatever happens to the connection under it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/io/event_loop.hh"
#include "base/io/peer_connection.hh"
#include "base/json_writer.hh"
#include "dlm/core/link.hh"

namespace dlm {

// Of two nodes the one with the higher id calls. send() and open links are guarded by the mutex of the owner, which
// every call below says whether to hold; callbacks of connections take it themselves.
class Mesh {
  public:
    struct Options {
        std::string lockspace;
        base::NodeId self;
        base::Uuid session;
        std::string secret;
        std::string listen_host;
        std::uint16_t first_port = 7789;
        std::map<base::NodeId, std::string> hosts;
    };
    // Loop thread, without the mutex.
    using Arrived = std::function<void(const base::Uuid& session, PeerMessage message)>;

    // Another node's secret is not ours, as one of the two has found. Loop thread, without the mutex.
    using Refused = std::function<void(const base::Error& why)>;

    Mesh(base::EventLoop& loop, std::mutex& mutex, Options options, Arrived arrived, Refused refused);
    ~Mesh();

    // Loop thread. The port on which it listens.
    base::Result<std::uint16_t> listen();

    // With the mutex: from now on messages to that session are kept until they have arrived.
    void expect(const Member& peer);
    // With the mutex. Any thread; order of calls is order of arrival.
    void send(const base::Uuid& session, const PeerMessage& message);

    // Loop thread, without the mutex.
    void connect(const base::Uuid& session);
    void close(const base::Uuid& session);
    void acknowledge_all();
    void close_all();
    // With the mutex.
    void describe(base::JsonWriter& json) const;

  private:
    struct Peer {
        Member member;
        std::unique_ptr<Link> link;
        std::shared_ptr<base::PeerConnection> connection;
        bool greeted = false;  // the other side's hello has come: frames may be sent
        std::unique_ptr<base::PeerDial> dial;
        base::EventLoop::Handle redial;
        std::set<std::string> complaints;  // logged since it was connected last
    };
    using Connection = std::shared_ptr<base::PeerConnection>;

    base::PeerOptions peer_options() const;
    bool calls(const Member& peer) const { return options_.self.value > peer.process.node.value; }
    void dial(const base::Uuid& session);
    void dial_later(const base::Uuid& session);
    void dial_failed(const base::Uuid& session, const base::Error& why);
    static void complain(Peer& peer, const std::string& what);
    void judge_refusal(const base::Error& why);
    void called(const base::Uuid& session, Connection connection);
    void accepted(Connection connection);
    void first_frame(const Connection& connection, base::ByteView frame);
    void frame_arrived(const base::Uuid& session, const Connection& connection, base::ByteView frame);
    std::optional<std::vector<base::Bytes>> hear(Peer& peer, const LinkHello& hello);
    void begin(Peer& peer, const std::vector<base::Bytes>& kept);
    void drop(const base::Uuid& session, const Connection& connection, const std::string& why);
    void closed(const base::Uuid& session, const Connection& connection, const base::Error& why);

    base::EventLoop& loop_;
    std::mutex& mutex_;
    Options options_;
    Arrived arrived_;
    Refused refused_;
    std::uint64_t lockspace_key_;
    std::unique_ptr<base::PeerListener> listener_;
    std::map<base::Uuid, Peer> peers_;
    std::set<Connection> unidentified_;  // accepted, hello not yet received
    std::string refused_caller_;         // why, as it was logged
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace dlm
