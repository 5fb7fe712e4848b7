#include "blockrep/driver/attach_protocol.hh"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/io/paths.hh"

namespace blockrep::attach {
namespace {

bool fits(std::uint64_t offset, std::uint64_t length, std::uint64_t whole, std::uint32_t unit) {
    return offset % unit == 0 && length % unit == 0 && length <= whole && offset <= whole - length;
}

}  // namespace

int validate(const Request& request, std::uint64_t device_size, std::uint32_t sector_size, std::uint64_t pool_length) {
    if ((request.flags & ~flag_stable) != 0) return EINVAL;
    const bool known = request.operation >= Operation::read && request.operation <= Operation::discard;
    if (!known) return EOPNOTSUPP;
    if (request.operation == Operation::flush) return 0;
    if (request.length == 0 || !fits(request.offset, request.length, device_size, sector_size)) return EINVAL;
    if (request.operation == Operation::discard) return 0;
    return fits(request.pool_offset, request.length, pool_length, sector_size) ? 0 : EINVAL;
}

base::Result<void> send_with_descriptor(int socket, base::ByteView bytes, int descriptor) {
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    const auto sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0) return base::errno_failure(errno, "attach socket");
    if (static_cast<std::size_t>(sent) != bytes.size()) return base::failure(std::errc::io_error, "attach socket");
    return {};
}

std::string socket_path() { return base::run_path("blockrep/attach.sock"); }

}  // namespace blockrep::attach
