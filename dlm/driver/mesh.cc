#include "dlm/driver/mesh.hh"

#include "base/hash.hh"
#include "base/io/log.hh"

namespace dlm {
namespace {

constexpr auto redial_after = base::Duration::milliseconds(100);
constexpr std::uint16_t ports_tried = 32;
constexpr std::size_t acknowledge_every = 64;

}  // namespace

Mesh::Mesh(base::EventLoop& loop, std::mutex& mutex, Options options, Arrived arrived, Refused refused)
    : loop_(loop),
      mutex_(mutex),
      options_(std::move(options)),
      arrived_(std::move(arrived)),
      refused_(std::move(refused)),
      lockspace_key_(base::checksum(base::as_bytes(options_.lockspace))) {}

Mesh::~Mesh() { close_all(); }

base::PeerOptions Mesh::peer_options() const {
    base::PeerOptions options;
    options.service = "dlm " + options_.lockspace;
    options.secret = options_.secret;
    options.self = options_.self;
    return options;
}

base::Result<std::uint16_t> Mesh::listen() {
    for (std::uint16_t i = 0;; ++i) {
        const auto port = static_cast<std::uint16_t>(options_.first_port + i);
        auto listener = base::PeerListener::listen(
            loop_, {options_.listen_host, port}, peer_options(),
            [this](Connection connection) { accepted(std::move(connection)); },
            [this](const base::Error& why) {
                if (refused_caller_ != why.message()) base::log_warning("dlm: refused a caller: {}", why.message());
                refused_caller_ = why.message();
                judge_refusal(why);
            });
        if (listener) {
            listener_ = std::move(*listener);
            return port;
        }
        if (i + 1 == ports_tried || listener.error().code != std::errc::address_in_use) {
            return std::unexpected(listener.error());
        }
    }
}

void Mesh::expect(const Member& peer) {
    auto& entry = peers_[peer.session];
    entry.member = peer;
    entry.link = std::make_unique<Link>(lockspace_key_, options_.session, peer.session);
}

void Mesh::send(const base::Uuid& session, const PeerMessage& message) {
    const auto found = peers_.find(session);
    if (found == peers_.end()) return;
    auto& peer = found->second;
    auto frame = peer.link->send(message);
    if (peer.greeted) peer.connection->send(std::move(frame));
}

void Mesh::connect(const base::Uuid& session) {
    bool call = false;
    {
        const std::lock_guard lock(mutex_);
        const auto found = peers_.find(session);
        call = found != peers_.end() && calls(found->second.member);
    }
    if (call) dial(session);
}

void Mesh::dial(const base::Uuid& session) {
    const std::lock_guard lock(mutex_);
    const auto found = peers_.find(session);
    if (found == peers_.end() || found->second.connection != nullptr) return;
    auto& peer = found->second;
    const auto host = options_.hosts.find(peer.member.process.node);
    if (host == options_.hosts.end()) {
        base::log_error("dlm: no address is known of node {}", peer.member.process.node.value);
        return;
    }
    peer.dial = base::PeerDial::start(
        loop_, {host->second, peer.member.port}, "", peer_options(),
        [this, session](Connection connection) { called(session, std::move(connection)); },
        [this, session](const base::Error& why) { dial_failed(session, why); });
}

void Mesh::dial_failed(const base::Uuid& session, const base::Error& why) {
    {
        const std::lock_guard lock(mutex_);
        const auto found = peers_.find(session);
        if (found != peers_.end()) complain(found->second, "no connection: " + why.message());
    }
    judge_refusal(why);
    dial_later(session);
}

// With the mutex. What fails is tried again every 100 ms: each complaint is logged once until there is a connection.
void Mesh::complain(Peer& peer, const std::string& what) {
    if (!peer.complaints.insert(what).second) return;
    base::log_warning("dlm: node {}: {}", peer.member.process.node.value, what);
}

// Any other failure may pass.
void Mesh::judge_refusal(const base::Error& why) {
    if (why.code == std::errc::permission_denied) refused_(why);
}

void Mesh::dial_later(const base::Uuid& session) {
    const std::lock_guard lock(mutex_);
    const auto found = peers_.find(session);
    if (found != peers_.end()) found->second.redial = loop_.after(redial_after, [this, session] { dial(session); });
}

void Mesh::called(const base::Uuid& session, Connection connection) {
    const std::weak_ptr<bool> alive = alive_;
    const std::weak_ptr<base::PeerConnection> self = connection;
    connection->start({[this, alive, session, self](base::ByteView frame, auto) {
                           const auto here = self.lock();
                           if (alive.lock() && here) frame_arrived(session, here, frame);
                       },
                       [this, alive, session, self](const base::Error& why) {
                           if (alive.lock()) closed(session, self.lock(), why);
                       }});
    const std::lock_guard lock(mutex_);
    const auto found = peers_.find(session);
    if (found == peers_.end() || connection->peer() != found->second.member.process.node) return connection->close();
    auto& peer = found->second;
    peer.connection = connection;
    peer.greeted = false;
    connection->send(peer.link->hello());
}

void Mesh::accepted(Connection connection) {
    const std::weak_ptr<bool> alive = alive_;
    const std::weak_ptr<base::PeerConnection> self = connection;
    // Which session it belongs to is known after its first frame.
    const auto session = std::make_shared<base::Uuid>();
    refused_caller_.clear();
    unidentified_.insert(connection);
    connection->start({[this, alive, self, session](base::ByteView frame, auto) {
                           const auto here = self.lock();
                           if (!alive.lock() || !here) return;
                           if (!session->is_nil()) return frame_arrived(*session, here, frame);
                           if (const auto decoded = decode_link_frame(frame); decoded) {
                               if (const auto* hello = std::get_if<LinkHello>(&*decoded)) {
                                   *session = hello->session.own_session;
                               }
                           }
                           first_frame(here, frame);
                       },
                       [this, alive, self, session](const base::Error& why) {
                           if (!alive.lock()) return;
                           const auto here = self.lock();
                           unidentified_.erase(here);
                           if (!session->is_nil()) closed(*session, here, why);
                       }});
}

void Mesh::first_frame(const Connection& connection, base::ByteView frame) {
    const auto keep_until_the_end = connection;
    unidentified_.erase(connection);
    const auto decoded = decode_link_frame(frame);
    const auto* hello = decoded ? std::get_if<LinkHello>(&*decoded) : nullptr;
    if (hello == nullptr) return connection->close();
    const std::lock_guard lock(mutex_);
    const auto found = peers_.find(hello->session.own_session);
    // Not known yet: the group will tell; the caller tries again.
    if (found == peers_.end() || connection->peer() != found->second.member.process.node) return connection->close();
    auto& peer = found->second;
    auto own_hello = peer.link->hello();
    const auto kept = hear(peer, *hello);
    // It may be meant for a session that was here before ours: the connection that we have stays.
    if (!kept) return connection->close();
    if (peer.connection != nullptr) peer.connection->close();
    peer.connection = connection;
    connection->send(std::move(own_hello));
    begin(peer, *kept);
}

// With the mutex. The frames to be sent again, unless the hello is none for us.
std::optional<std::vector<base::Bytes>> Mesh::hear(Peer& peer, const LinkHello& hello) {
    auto kept = peer.link->on_hello(hello);
    if (kept) return std::move(*kept);
    complain(peer, kept.error().message());
    return std::nullopt;
}

// With the mutex.
void Mesh::begin(Peer& peer, const std::vector<base::Bytes>& kept) {
    peer.greeted = true;
    peer.complaints.clear();
    for (const auto& frame : kept) peer.connection->send(frame);
}

void Mesh::frame_arrived(const base::Uuid& session, const Connection& connection, base::ByteView frame) {
    std::optional<PeerMessage> message;
    std::string wrong;
    {
        const std::lock_guard lock(mutex_);
        const auto found = peers_.find(session);
        if (found == peers_.end() || found->second.connection != connection) return;
        auto& peer = found->second;
        if (!peer.greeted) {
            const auto decoded = decode_link_frame(frame);
            const auto* hello = decoded ? std::get_if<LinkHello>(&*decoded) : nullptr;
            const auto kept = hello != nullptr ? hear(peer, *hello) : std::nullopt;
            if (kept) {
                begin(peer, *kept);
            } else {
                wrong = "no proper hello";
            }
        } else {
            auto arrived = peer.link->on_frame(frame);
            if (arrived) {
                message = std::move(*arrived);
                if (peer.link->unacknowledged() >= acknowledge_every) connection->send(peer.link->acknowledge());
            } else {
                wrong = arrived.error().message();
            }
        }
    }
    if (!wrong.empty()) return drop(session, connection, wrong);
    if (message) arrived_(session, std::move(*message));
}

void Mesh::drop(const base::Uuid& session, const Connection& connection, const std::string& why) {
    const auto keep_until_the_end = connection;
    connection->close();
    closed(session, keep_until_the_end, {std::make_error_code(std::errc::protocol_error), why});
}

void Mesh::closed(const base::Uuid& session, const Connection& connection, const base::Error& why) {
    bool call = false;
    {
        const std::lock_guard lock(mutex_);
        const auto found = peers_.find(session);
        if (found == peers_.end() || found->second.connection != connection) return;
        auto& peer = found->second;
        complain(peer, "connection closed: " + why.message());
        peer.connection.reset();
        peer.greeted = false;
        call = calls(peer.member);
    }
    if (call) dial_later(session);
}

void Mesh::close(const base::Uuid& session) {
    const std::lock_guard lock(mutex_);
    const auto found = peers_.find(session);
    if (found == peers_.end()) return;
    if (found->second.connection != nullptr) found->second.connection->close();
    peers_.erase(found);
}

void Mesh::acknowledge_all() {
    const std::lock_guard lock(mutex_);
    for (auto& [session, peer] : peers_) {
        if (peer.greeted && peer.link->unacknowledged() > 0) peer.connection->send(peer.link->acknowledge());
    }
}

void Mesh::close_all() {
    const std::lock_guard lock(mutex_);
    listener_.reset();
    for (auto& [session, peer] : peers_) {
        if (peer.connection != nullptr) peer.connection->close();
    }
    for (const auto& connection : unidentified_) connection->close();
    peers_.clear();
    unidentified_.clear();
}

void Mesh::describe(base::JsonWriter& json) const {
    json.begin_array();
    for (const auto& [session, peer] : peers_) {
        json.begin_object().member("node", peer.member.process.node.value).member("connected", peer.greeted);
        json.member("kept", peer.link->kept()).end_object();
    }
    json.end_array();
}

}  // namespace dlm
