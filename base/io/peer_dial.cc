#include <cerrno>

#include "base/io/peer_handshake.hh"
#include "base/io/tcp_socket.hh"

namespace base {
namespace {

// EACCES is what a firewall of our own says; as an Error of a peer it would mean the secret.
Error cannot_connect(int why, const PeerEndpoint& remote) {
    return {std::error_code(why == EACCES ? EHOSTUNREACH : why, std::generic_category()),
            "cannot connect to " + remote.text()};
}

class TcpPeerDial : public PeerDial {
  public:
    TcpPeerDial(EventLoop& loop, const PeerEndpoint& remote, const std::string& local_host, const PeerOptions& options,
                PeerConnected connected, PeerRefused failed)
        : loop_(loop),
          remote_(remote),
          options_(options),
          connected_(std::move(connected)),
          failed_(std::move(failed)) {
        if (const auto begun = begin(local_host); !begun) {
            limit_ = loop_.after({}, [this, why = begun.error()] { fail(why); });
        }
    }

  private:
    Result<void> begin(const std::string& local_host) {
        BASE_ASSIGN(const auto address, parse_address(remote_.host, remote_.port));
        BASE_ASSIGN(socket_, make_tcp_socket(address));
        if (!local_host.empty()) {
            BASE_ASSIGN(const auto local, parse_address(local_host, 0));
            if (::bind(socket_.get(), local.raw(), local.length) != 0)
                return errno_failure(errno, "bind to " + local_host);
        }
        if (::connect(socket_.get(), address.raw(), address.length) != 0 && errno != EINPROGRESS) {
            return std::unexpected(cannot_connect(errno, remote_));
        }
        limit_ = loop_.after(options_.handshake_limit, [this] {
            fail({std::make_error_code(std::errc::timed_out), remote_.text() + " cannot be reached"});
        });
        writable_ = loop_.watch_writable(socket_.get(), [this] { on_connected(); });
        return {};
    }

    void on_connected() {
        writable_.reset();
        limit_.reset();
        int why = 0;
        socklen_t length = sizeof why;
        ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &why, &length);
        if (why != 0) return fail(cannot_connect(why, remote_));
        tune_connected_socket(socket_.get());
        handshake_ = std::make_unique<PeerHandshake>(
            loop_, std::make_shared<FramedSocket>(loop_, std::move(socket_), remote_.text()), PeerRole::caller,
            options_, connected_, failed_);
    }

    void fail(const Error& why) {
        writable_.reset();
        limit_.reset();
        socket_.reset();
        // The callback may destroy this object.
        const auto failed = failed_;
        failed(why);
    }

    EventLoop& loop_;
    const PeerEndpoint remote_;
    const PeerOptions options_;
    PeerConnected connected_;
    PeerRefused failed_;
    FileDescriptor socket_;
    EventLoop::Handle writable_;
    EventLoop::Handle limit_;
    std::unique_ptr<PeerHandshake> handshake_;
};

}  // namespace

std::unique_ptr<PeerDial> PeerDial::start(EventLoop& loop, const PeerEndpoint& remote, const std::string& local_host,
                                          const PeerOptions& options, PeerConnected connected, PeerRefused failed) {
    return std::make_unique<TcpPeerDial>(loop, remote, local_host, options, std::move(connected), std::move(failed));
}

}  // namespace base
