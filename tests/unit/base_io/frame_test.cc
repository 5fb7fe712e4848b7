#include "base/io/frame.hh"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/io/peer_connection.hh"

namespace {

using base::Bytes;
using base::FrameDecoder;
using base::FrameHeader;
using base::FrameKind;

Bytes make_frame(std::uint64_t number, std::size_t message, std::size_t payload, std::uint64_t seed) {
    const Bytes message_bytes(message, std::byte{0x11});
    const Bytes payload_bytes(payload, std::byte{0x22});
    FrameHeader header{FrameKind::data, static_cast<std::uint32_t>(message), static_cast<std::uint32_t>(payload),
                       number, 0};
    header.checksum = base::frame_checksum(header, message_bytes, payload_bytes, seed);
    const auto raw = base::encode_frame_header(header);
    Bytes all(raw.begin(), raw.end());
    all.insert(all.end(), message_bytes.begin(), message_bytes.end());
    all.insert(all.end(), payload_bytes.begin(), payload_bytes.end());
    return all;
}

// Feeds in pieces of at most `piece` bytes; returns how many frames came out, or nothing on an error.
std::optional<int> feed(FrameDecoder& decoder, const Bytes& stream, std::size_t piece) {
    int frames = 0;
    std::size_t at = 0;
    while (at < stream.size()) {
        const auto space = decoder.space();
        const auto length = std::min({space.size(), piece, stream.size() - at});
        std::copy_n(stream.begin() + static_cast<std::ptrdiff_t>(at), length, space.begin());
        at += length;
        if (!decoder.filled(length, [&](const FrameDecoder::Frame&) { ++frames; })) return std::nullopt;
    }
    return frames;
}

Bytes three_frames() {
    Bytes stream = make_frame(0, 10, 0, 7);
    for (const auto& more : {make_frame(1, 200'000, 4096, 7), make_frame(2, 0, 1'000'000, 7)}) {
        stream.insert(stream.end(), more.begin(), more.end());
    }
    return stream;
}

TEST(FrameDecoder, TakesFramesInPiecesOfAnySize) {
    const auto stream = three_frames();
    for (const std::size_t piece : {std::size_t{1}, std::size_t{31}, std::size_t{4096}, std::size_t{10'000'000}}) {
        FrameDecoder decoder;
        decoder.set_seed(7);
        EXPECT_EQ(feed(decoder, stream, piece), 3) << piece;
    }
}

TEST(FrameDecoder, RefusesAnyChangedBit) {
    const auto good = make_frame(0, 40, 512, 7);
    for (std::size_t at = 0; at < good.size(); at += 3) {
        auto bad = good;
        bad[at] ^= std::byte{0x40};
        FrameDecoder decoder;
        decoder.set_seed(7);
        const auto frames = feed(decoder, bad, bad.size());
        EXPECT_TRUE(!frames || *frames == 0) << "byte " << at;
    }
}

TEST(FrameDecoder, RefusesAnotherSeed) {
    FrameDecoder decoder;
    decoder.set_seed(8);
    EXPECT_EQ(feed(decoder, make_frame(0, 5, 0, 7), 1000), std::nullopt);
}

TEST(FrameDecoder, RefusesARepeatedAndAMissingFrame) {
    for (const std::uint64_t second : {0U, 2U}) {
        FrameDecoder decoder;
        auto stream = make_frame(0, 5, 0, 0);
        const auto more = make_frame(second, 5, 0, 0);
        stream.insert(stream.end(), more.begin(), more.end());
        EXPECT_EQ(feed(decoder, stream, 1000), std::nullopt);
    }
}

TEST(FrameDecoder, RefusesLengthsBeyondTheLimits) {
    FrameHeader header{FrameKind::data, base::max_frame_message + 1, 0, 0, 0};
    for (const bool payload : {false, true}) {
        if (payload) header = {FrameKind::data, 0, base::max_frame_payload + 1, 0, 0};
        const auto raw = base::encode_frame_header(header);
        FrameDecoder decoder;
        EXPECT_EQ(feed(decoder, Bytes(raw.begin(), raw.end()), 1000), std::nullopt);
    }
}

}  // namespace
