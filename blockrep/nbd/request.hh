// Requests of the transmission phase: decoding, and the verdict whether one may be carried out.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hh"
#include "blockrep/nbd/export.hh"

namespace blockrep::nbd {

struct Request {
    std::uint16_t flags = 0;
    std::uint16_t type = 0;  // a Command if validate() says so
    std::uint64_t cookie = 0;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;

    Command command() const { return static_cast<Command>(type); }
    bool fua() const { return (flags & command_fua) != 0; }
    bool no_hole() const { return (flags & command_no_hole) != 0; }
    // Bytes that follow the request on the wire, whether it is acceptable or not.
    std::uint32_t payload() const { return command() == Command::write ? length : 0; }
};

// Nothing: the client does not speak NBD (any more); the connection is to be closed. `header` holds request_size bytes.
std::optional<Request> decode_request(base::ByteView header);

// none, or what to answer without doing anything.
NbdError validate(const Request& request, const Export& target);

}  // namespace blockrep::nbd
