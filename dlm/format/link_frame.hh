// Frames between two sessions of a lockspace, inside the frames of a peer connection. docs/format/dlm.md.
#pragma once

#include <variant>

#include "base/bytes.hh"
#include "base/error.hh"
#include "base/sequenced_session.hh"

namespace dlm {

// The first frame of each side.
struct LinkHello {
    std::uint64_t lockspace = 0;  // checksum of its name: two lockspaces never talk to each other
    base::SessionHello session;
};
struct LinkData {
    std::uint64_t sequence = 0;
    std::uint64_t acknowledged = 0;
    base::ByteView message;  // into what was decoded
};
struct LinkAcknowledgement {
    std::uint64_t acknowledged = 0;
};
using LinkFrame = std::variant<LinkHello, LinkData, LinkAcknowledgement>;

base::Bytes encode(const LinkFrame& frame);
base::Result<LinkFrame> decode_link_frame(base::ByteView bytes);

}  // namespace dlm
