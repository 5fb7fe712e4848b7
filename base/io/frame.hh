// The bytes of one frame of a peer connection (docs/format/peer-connection.md). Pure.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/aligned_buffer.hh"
#include "base/bytes.hh"
#include "base/error.hh"

namespace base {

enum class FrameKind : std::uint32_t { data = 0, heartbeat = 1, hello = 2, proof = 3, refused = 4 };

struct FrameHeader {
    static constexpr std::uint32_t magic = 0x46534643;  // "CFSF"
    static constexpr std::size_t size = 32;

    FrameKind kind = FrameKind::data;
    std::uint32_t message_length = 0;  // bytes
    std::uint32_t payload_length = 0;  // bytes
    std::uint64_t number = 0;          // counts the frames of one direction of one connection, from 0
    std::uint64_t checksum = 0;
};

std::array<std::byte, FrameHeader::size> encode_frame_header(const FrameHeader& header);
// Of everything but the checksum itself.
std::uint64_t frame_checksum(const FrameHeader& header, ByteView message, ByteView payload, std::uint64_t seed);

// Takes the byte stream of one direction and gives back frames. An Error is final: the stream cannot be trusted.
class FrameDecoder {
  public:
    struct Frame {
        FrameKind kind = FrameKind::data;
        ByteView message;                        // valid during the callback
        std::shared_ptr<AlignedBuffer> payload;  // null when there is none
    };
    using Sink = std::function<void(const Frame&)>;

    // From the next frame on.
    void set_seed(std::uint64_t seed) { seed_ = seed; }
    // Where the next bytes of the stream are to be put; never empty. After filling some of it call filled().
    MutableByteView space();
    Result<void> filled(std::size_t bytes, const Sink& sink);

  private:
    Result<void> parse_header();
    Result<bool> take_frame(const Sink& sink);
    Result<void> finish(const Sink& sink);

    Bytes input_ = Bytes(128 * 1024);
    std::size_t begin_ = 0;  // of what is not consumed
    std::size_t end_ = 0;    // of what was filled
    bool have_header_ = false;
    FrameHeader header_;
    Bytes message_;
    std::shared_ptr<AlignedBuffer> payload_;  // while its bytes arrive
    std::size_t payload_filled_ = 0;
    std::uint64_t expected_number_ = 0;
    std::uint64_t seed_ = 0;
};

}  // namespace base
