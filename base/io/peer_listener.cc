#include <cerrno>
#include <list>

#include "base/io/peer_handshake.hh"
#include "base/io/tcp_socket.hh"

namespace base {
namespace {

constexpr std::size_t max_handshakes = 64;  // at once: strangers cannot use up our descriptors

class TcpPeerListener : public PeerListener {
  public:
    TcpPeerListener(EventLoop& loop, FileDescriptor socket, const PeerOptions& options, PeerConnected connected,
                    PeerRefused refused)
        : loop_(loop),
          socket_(std::move(socket)),
          options_(options),
          connected_(std::move(connected)),
          refused_(std::move(refused)) {
        watch_ = loop_.watch_readable(socket_.get(), [this] { accept_one(); });
    }

  private:
    struct Pending {
        std::unique_ptr<PeerHandshake> handshake;
    };

    void accept_one() {
        SocketAddress remote;
        remote.length = sizeof remote.storage;
        FileDescriptor accepted(::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&remote.storage), &remote.length,
                                          SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!accepted.is_open()) return;
        // The oldest has to go: a stranger that says nothing must not keep the peer out.
        if (pending_.size() >= max_handshakes) pending_.pop_front();
        tune_connected_socket(accepted.get());
        // A caller's port is another one each time: with it no two of its refusals would read the same.
        auto framed = std::make_shared<FramedSocket>(loop_, std::move(accepted), remote.host());
        const auto entry = pending_.emplace(pending_.end());
        entry->handshake = std::make_unique<PeerHandshake>(
            loop_, std::move(framed), PeerRole::acceptor, options_,
            [this, entry](std::shared_ptr<PeerConnection> connection) {
                retire(entry);
                connected_(std::move(connection));
            },
            [this, entry](const Error& why) {
                retire(entry);
                refused_(why);
            });
    }

    // A handshake cannot be destroyed inside its own callback.
    void retire(std::list<Pending>::iterator entry) {
        std::shared_ptr<PeerHandshake> ended = std::move(entry->handshake);
        pending_.erase(entry);
        loop_.post([ended] {});
    }

    EventLoop& loop_;
    FileDescriptor socket_;
    const PeerOptions options_;
    PeerConnected connected_;
    PeerRefused refused_;
    std::list<Pending> pending_;
    EventLoop::Handle watch_;
};

}  // namespace

Result<std::unique_ptr<PeerListener>> PeerListener::listen(EventLoop& loop, const PeerEndpoint& local,
                                                           const PeerOptions& options, PeerConnected connected,
                                                           PeerRefused refused) {
    BASE_ASSIGN(const auto address, parse_address(local.host, local.port));
    BASE_ASSIGN(auto socket, make_tcp_socket(address));
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(socket.get(), address.raw(), address.length) != 0 || ::listen(socket.get(), SOMAXCONN) != 0) {
        return errno_failure(errno, "cannot listen on " + local.text());
    }
    return std::make_unique<TcpPeerListener>(loop, std::move(socket), options, std::move(connected),
                                             std::move(refused));
}

}  // namespace base
