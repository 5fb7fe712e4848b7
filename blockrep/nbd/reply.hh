// Replies of the transmission phase. Data follows the header that is made here; it is never copied into it.
#pragma once

#include <string_view>

#include "base/bytes.hh"
#include "blockrep/nbd/protocol.hh"

namespace blockrep::nbd {

// The client's view of an errno value of Linux.
NbdError to_nbd_error(int errno_value);

// A whole reply without data.
base::Bytes simple_reply(std::uint64_t cookie, NbdError error);

// What stands in front of `length` bytes of read data.
base::Bytes read_reply_header(bool structured, std::uint64_t cookie, std::uint64_t offset, std::uint32_t length);

// The answer to a read that failed or was refused; a simple reply says less.
base::Bytes failed_read_reply(bool structured, std::uint64_t cookie, NbdError error, std::string_view message);

}  // namespace blockrep::nbd
