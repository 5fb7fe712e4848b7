// Addresses and sockets of TCP, as far as peer connections need them.
#pragma once

#include <sys/socket.h>

#include "base/error.hh"
#include "base/io/file_descriptor.hh"
#include "base/io/peer_connection.hh"

namespace base {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;
    const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
    std::string host() const;
};

// IPv4 and IPv6 addresses in numbers; names are not resolved (a resolver may hang).
Result<SocketAddress> parse_address(const std::string& host, std::uint16_t port);
// Nonblocking, close-on-exec.
Result<FileDescriptor> make_tcp_socket(const SocketAddress& like);
// NODELAY.
void tune_connected_socket(int socket);

}  // namespace base
