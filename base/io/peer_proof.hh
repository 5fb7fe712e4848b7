// How two peers prove to each other that they know the shared secret. Pure apart from OpenSSL's HMAC.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/bytes.hh"
#include "base/error.hh"
#include "base/node.hh"

namespace base {

enum class PeerRole : std::uint8_t { caller = 1, acceptor = 2 };

struct PeerHello {
    static constexpr std::uint32_t version = 1;
    PeerRole role = PeerRole::caller;
    std::string service;
    NodeId node;
    std::array<std::byte, 32> nonce{};
};

Bytes encode_hello(const PeerHello& hello);
Result<PeerHello> decode_hello(ByteView message);

// Both hellos as they were on the wire.
struct PeerTranscript {
    Bytes caller_hello;
    Bytes acceptor_hello;
};

using Proof = std::array<std::byte, 32>;
Proof prove(const std::string& secret, PeerRole prover, const PeerTranscript& transcript);
// Constant time over the whole length.
bool is_proof(ByteView claimed, const Proof& expected);
// Seeds the checksums of the frames of this connection.
std::uint64_t frame_seed(const std::string& secret, const PeerTranscript& transcript);

}  // namespace base
