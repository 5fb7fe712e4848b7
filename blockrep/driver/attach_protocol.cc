#include "blockrep/driver/attach_protocol.hh"

#include <cerrno>

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

std::string socket_path() { return base::run_path("blockrep/attach.sock"); }

}  // namespace blockrep::attach
