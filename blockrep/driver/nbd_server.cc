#include "blockrep/driver/nbd_server.hh"

#include <sys/socket.h>

#include <cerrno>

#include "base/io/log.hh"
#include "base/io/tcp_socket.hh"
#include "base/io/unix_socket.hh"

namespace blockrep {
namespace {

constexpr std::size_t most_clients = 64;

}  // namespace

NbdServer::~NbdServer() {
    for (const auto& session : sessions_) session->close();
}

base::Result<void> NbdServer::listen_on_path(const std::string& path) {
    BASE_ASSIGN(auto socket, base::listen_unix(path));
    add_listener(std::move(socket));
    return {};
}

base::Result<void> NbdServer::listen_on_tcp(const base::PeerEndpoint& local) {
    BASE_ASSIGN(const auto address, base::parse_address(local.host, local.port));
    BASE_ASSIGN(auto socket, base::make_tcp_socket(address));
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(socket.get(), address.raw(), address.length) != 0 || ::listen(socket.get(), 64) != 0) {
        return base::errno_failure(errno, "nbd on " + local.text());
    }
    add_listener(std::move(socket));
    return {};
}

void NbdServer::add_listener(base::FileDescriptor socket) {
    const int raw = socket.get();
    listeners_.push_back({std::move(socket), loop_.watch_readable(raw, [this, raw] { accept_from(raw); })});
}

void NbdServer::accept_from(int listener) {
    base::FileDescriptor accepted(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted.is_open()) return;
    if (sessions_.size() >= most_clients) return base::log_warning("nbd: too many clients, one is turned away");
    base::tune_connected_socket(accepted.get());
    const int on = 1;  // a machine that is gone must not hold the device for ever
    ::setsockopt(accepted.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    const auto session = std::make_shared<NbdSession>(loop_, std::move(accepted), devices_);
    sessions_.insert(session);
    session->open([this](const std::shared_ptr<NbdSession>& gone) { sessions_.erase(gone); });
}

}  // namespace blockrep
