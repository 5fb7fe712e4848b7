#include "blockrep/nbd/reply.hh"

#include <cerrno>

namespace blockrep::nbd {
namespace {

constexpr std::size_t longest_message = 1024;

base::Bytes chunk_header(Chunk type, std::uint64_t cookie, std::uint32_t length) {
    base::Bytes out;
    out.reserve(28);
    append_big(out, structured_reply_magic);
    append_big(out, structured_done);
    append_big(out, static_cast<std::uint16_t>(type));
    append_big(out, cookie);
    append_big(out, length);
    return out;
}

}  // namespace

NbdError to_nbd_error(int errno_value) {
    switch (errno_value) {
        case 0:
            return NbdError::none;
        case EPERM:
        case EACCES:
        case EROFS:
            return NbdError::eperm;
        case ENOMEM:
            return NbdError::enomem;
        case EINVAL:
        case ERANGE:
            return NbdError::einval;
        case ENOSPC:
        case EFBIG:
        case EDQUOT:
            return NbdError::enospc;
        case ENOTSUP:
            return NbdError::enotsup;
        case ESHUTDOWN:
            return NbdError::eshutdown;
        default:
            return NbdError::eio;
    }
}

base::Bytes simple_reply(std::uint64_t cookie, NbdError error) {
    base::Bytes out;
    out.reserve(16);
    append_big(out, simple_reply_magic);
    append_big(out, static_cast<std::uint32_t>(error));
    append_big(out, cookie);
    return out;
}

base::Bytes read_reply_header(bool structured, std::uint64_t cookie, std::uint64_t offset, std::uint32_t length) {
    if (!structured) return simple_reply(cookie, NbdError::none);
    // A read of nothing has no data chunk: OFFSET_DATA must carry at least a byte.
    if (length == 0) return chunk_header(Chunk::none, cookie, 0);
    auto out = chunk_header(Chunk::offset_data, cookie, length + 8);
    append_big(out, offset);
    return out;
}

base::Bytes failed_read_reply(bool structured, std::uint64_t cookie, NbdError error, std::string_view message) {
    if (!structured) return simple_reply(cookie, error);
    const auto text = message.substr(0, longest_message);
    auto out = chunk_header(Chunk::error, cookie, static_cast<std::uint32_t>(6 + text.size()));
    append_big(out, static_cast<std::uint32_t>(error));
    append_big(out, static_cast<std::uint16_t>(text.size()));
    out.insert(out.end(), base::as_bytes(text).begin(), base::as_bytes(text).end());
    return out;
}

}  // namespace blockrep::nbd
