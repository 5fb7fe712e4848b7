#include "base/io/frame.hh"

#include <algorithm>

#include "base/ensure.hh"
#include "base/hash.hh"
#include "base/io/peer_connection.hh"

namespace base {
namespace {

constexpr std::size_t checked_header = FrameHeader::size - sizeof(std::uint64_t);

// Below this, payload bytes are copied from the input buffer; the rest of a larger one is received in place.
std::unexpected<Error> bad(const char* what) { return failure(std::errc::bad_message, what); }

}  // namespace

std::array<std::byte, FrameHeader::size> encode_frame_header(const FrameHeader& header) {
    std::array<std::byte, FrameHeader::size> raw{};
    const MutableByteView bytes(raw);
    store<std::uint32_t>(bytes, FrameHeader::magic);
    store<std::uint32_t>(bytes.subspan(4), static_cast<std::uint32_t>(header.kind));
    store<std::uint32_t>(bytes.subspan(8), header.message_length);
    store<std::uint32_t>(bytes.subspan(12), header.payload_length);
    store<std::uint64_t>(bytes.subspan(16), header.number);
    store<std::uint64_t>(bytes.subspan(24), header.checksum);
    return raw;
}

std::uint64_t frame_checksum(const FrameHeader& header, ByteView message, ByteView payload, std::uint64_t seed) {
    const auto raw = encode_frame_header(header);
    auto sum = checksum(ByteView(raw).first(checked_header), seed);
    sum = checksum(message, sum);
    return payload.empty() ? sum : checksum(payload, sum);
}

MutableByteView FrameDecoder::space() {
    if (payload_ && begin_ == end_) return payload_->bytes().subspan(payload_filled_);
    if (begin_ == end_) begin_ = end_ = 0;
    if (end_ == input_.size()) {
        std::copy(input_.begin() + static_cast<std::ptrdiff_t>(begin_), input_.end(), input_.begin());
        end_ -= begin_;
        begin_ = 0;
    }
    // A message longer than the buffer.
    if (end_ == input_.size()) input_.resize(input_.size() * 2);
    return MutableByteView(input_).subspan(end_);
}

Result<void> FrameDecoder::filled(std::size_t bytes, const Sink& sink) {
    if (payload_ && begin_ == end_) {
        payload_filled_ += bytes;
        if (payload_filled_ == payload_->size()) return finish(sink);
        return {};
    }
    end_ += bytes;
    for (;;) {
        BASE_ASSIGN(const bool went_on, take_frame(sink));
        if (!went_on) return {};
    }
}

// One step through what is in the buffer; false when more bytes are needed.
Result<bool> FrameDecoder::take_frame(const Sink& sink) {
    const auto available = end_ - begin_;
    if (payload_) {
        const auto part = std::min(available, payload_->size() - payload_filled_);
        std::copy_n(input_.begin() + static_cast<std::ptrdiff_t>(begin_), part,
                    payload_->bytes().begin() + static_cast<std::ptrdiff_t>(payload_filled_));
        begin_ += part;
        payload_filled_ += part;
        if (payload_filled_ < payload_->size()) return false;
        BASE_TRY(finish(sink));
        return true;
    }
    if (!have_header_) {
        if (available < FrameHeader::size) return false;
        BASE_TRY(parse_header());
        return true;
    }
    if (available < header_.message_length) return false;
    const auto from = input_.begin() + static_cast<std::ptrdiff_t>(begin_);
    message_.assign(from, from + header_.message_length);
    begin_ += header_.message_length;
    if (header_.payload_length > 0) {
        payload_ = std::make_shared<AlignedBuffer>(header_.payload_length);
        payload_filled_ = 0;
        return true;
    }
    BASE_TRY(finish(sink));
    return true;
}

Result<void> FrameDecoder::parse_header() {
    const auto raw = ByteView(input_).subspan(begin_, FrameHeader::size);
    begin_ += FrameHeader::size;
    if (load<std::uint32_t>(raw) != FrameHeader::magic) return bad("not a frame of this protocol");
    const auto kind = load<std::uint32_t>(raw.subspan(4));
    if (kind > static_cast<std::uint32_t>(FrameKind::refused)) return bad("a frame of an unknown kind");
    header_.kind = static_cast<FrameKind>(kind);
    header_.message_length = load<std::uint32_t>(raw.subspan(8));
    header_.payload_length = load<std::uint32_t>(raw.subspan(12));
    header_.number = load<std::uint64_t>(raw.subspan(16));
    header_.checksum = load<std::uint64_t>(raw.subspan(24));
    if (header_.message_length > max_frame_message) return bad("a frame's message is too long");
    if (header_.payload_length > max_frame_payload) return bad("a frame's payload is too long");
    if (header_.kind != FrameKind::data && header_.payload_length > 0) return bad("a control frame with payload");
    if (header_.number != expected_number_) return bad("a frame is missing or was repeated");
    have_header_ = true;
    return {};
}

Result<void> FrameDecoder::finish(const Sink& sink) {
    const auto payload = payload_ ? ByteView(payload_->bytes()) : ByteView{};
    if (frame_checksum(header_, message_, payload, seed_) != header_.checksum) {
        return bad("a frame's checksum is wrong (damaged on the way, or the two secrets differ)");
    }
    ++expected_number_;
    have_header_ = false;
    sink(Frame{header_.kind, message_, std::exchange(payload_, nullptr)});
    return {};
}

}  // namespace base
