#include "base/io/tcp_socket.hh"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>

namespace base {

std::string SocketAddress::host() const {
    char host[NI_MAXHOST];
    if (::getnameinfo(raw(), length, host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0) return "unknown address";
    return host;
}

Result<SocketAddress> parse_address(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
        return failure(std::errc::invalid_argument, "\"" + host + "\" is not an IP address");
    }
    SocketAddress address;
    std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
    address.length = found->ai_addrlen;
    ::freeaddrinfo(found);
    return address;
}

Result<FileDescriptor> make_tcp_socket(const SocketAddress& like) {
    FileDescriptor socket(::socket(like.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (!socket.is_open()) return errno_failure(errno, "socket");
    return socket;
}

void tune_connected_socket(int socket) {
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace base
