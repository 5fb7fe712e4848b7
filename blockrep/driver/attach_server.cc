#include "blockrep/driver/attach_server.hh"

#include <sys/socket.h>

#include <algorithm>

#include "base/io/log.hh"
#include "base/io/unix_socket.hh"

namespace blockrep {
namespace {

constexpr std::size_t most_clients = 64;

}  // namespace

AttachServer::~AttachServer() {
    const auto all = sessions_;
    for (const auto& session : all) session->forget_events();
    for (const auto& session : all) session->close();
}

base::Result<void> AttachServer::listen(const std::string& path) {
    BASE_ASSIGN(listener_, base::listen_unix(path));
    watch_ = loop_.watch_readable(listener_.get(), [this] { accept_one(); });
    return {};
}

void AttachServer::accept_one() {
    base::FileDescriptor accepted(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted.is_open()) return;
    if (sessions_.size() >= most_clients) return base::log_warning("attach: too many clients, one is turned away");
    const auto session = std::make_shared<AttachSession>(loop_, std::move(accepted));
    sessions_.insert(session);
    session->open({[this](const Session& each) { on_hello(each); }, [this](const Session& each) { on_hung_up(each); },
                   [this](const Session& each) { on_drained(each); }});
}

// An earlier client of the device that is gone, or another life of the same connection, still drains.
bool AttachServer::must_wait(const Session& session) const {
    return std::ranges::any_of(sessions_, [&](const Session& other) {
        return other != session && !other->is_connected() && other->is_attached() &&
               other->resource() == session->resource();
    });
}

void AttachServer::on_hello(const Session& session) {
    if (shut_out_.contains(session->client())) {
        return session->refuse({std::make_error_code(std::errc::owner_dead), "this client was certified as gone"});
    }
    const auto all = sessions_;
    for (const auto& other : all) {
        if (other->is_attached() && other->resource() == session->resource()) other->close_if_gone();
    }
    if (!must_wait(session)) return admit(session);
    base::log_info("attach: {}: a client waits until what an earlier one had in flight is done", session->resource());
    waiting_.push_back(session);
}

void AttachServer::admit(const Session& session) {
    auto device = devices_.find(session->resource());
    if (!device) return session->refuse(device.error());
    session->welcome(*std::move(device));
}

void AttachServer::on_hung_up(const Session& session) {
    std::erase(waiting_, session);
    if (session->in_flight() > 0) {
        base::log_info("attach: a client of {} is gone, {} requests of it are drained", session->resource(),
                       session->in_flight());
    }
}

void AttachServer::on_drained(const Session& session) {
    sessions_.erase(session);
    certify_drained();
    const auto waiting = std::exchange(waiting_, {});
    for (const auto& each : waiting) {
        if (each->is_connected()) on_hello(each);
    }
}

void AttachServer::when_drained(const base::Uuid& client, std::function<void()> certified) {
    certificates_.emplace(client, std::move(certified));
    certify_drained();
}

void AttachServer::certify_drained() {
    for (auto i = certificates_.begin(); i != certificates_.end();) {
        const auto& client = i->first;
        const bool alive =
            std::ranges::any_of(sessions_, [&](const Session& session) { return session->client() == client; });
        if (alive) {
            ++i;
            continue;
        }
        shut_out_.insert(client);
        loop_.post(std::move(i->second));
        i = certificates_.erase(i);
    }
}

void AttachServer::describe(base::JsonWriter& json) const {
    json.begin_array();
    for (const auto& session : sessions_) {
        json.begin_object();
        json.member("client", session->client().text()).member("resource", session->resource());
        json.member("connected", session->is_connected()).member("attached", session->is_attached());
        json.member("in-flight", std::uint64_t{session->in_flight()});
        json.end_object();
    }
    json.end_array();
}

}  // namespace blockrep
