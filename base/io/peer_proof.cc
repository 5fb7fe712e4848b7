#include "base/io/peer_proof.hh"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "base/ensure.hh"

namespace base {
namespace {

constexpr std::size_t max_service = 256;

// HMAC-SHA256 of a label and both hellos, each with its length in front.
Proof keyed_hash(const std::string& secret, std::string_view label, const PeerTranscript& transcript) {
    ByteWriter text;
    text.text(label);
    text.text(as_text(transcript.caller_hello));
    text.text(as_text(transcript.acceptor_hello));
    Proof result{};
    unsigned length = 0;
    const auto* done = ::HMAC(::EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                              reinterpret_cast<const unsigned char*>(text.bytes().data()), text.bytes().size(),
                              reinterpret_cast<unsigned char*>(result.data()), &length);
    ensure(done != nullptr && length == result.size(), "HMAC-SHA256 is not available");
    return result;
}

}  // namespace

Bytes encode_hello(const PeerHello& hello) {
    ByteWriter out;
    out.integer(PeerHello::version).integer(static_cast<std::uint8_t>(hello.role)).text(hello.service);
    out.integer(hello.node.value).append(hello.nonce);
    return out.take();
}

Result<PeerHello> decode_hello(ByteView message) {
    ByteReader in(message);
    const auto version = in.integer<std::uint32_t>();
    if (version != PeerHello::version) {
        return failure(std::errc::protocol_not_supported, "the peer speaks protocol version " +
                                                              std::to_string(version) + ", this program speaks " +
                                                              std::to_string(PeerHello::version));
    }
    PeerHello hello;
    const auto role = in.integer<std::uint8_t>();
    hello.service = in.text(max_service);
    hello.node.value = in.integer<std::uint32_t>();
    const auto nonce = in.take(hello.nonce.size());
    if (!in.complete() || role < 1 || role > 2 || hello.node.value == 0) {
        return failure(std::errc::bad_message, "the peer's greeting is malformed");
    }
    hello.role = static_cast<PeerRole>(role);
    std::copy(nonce.begin(), nonce.end(), hello.nonce.begin());
    return hello;
}

Proof prove(const std::string& secret, PeerRole prover, const PeerTranscript& transcript) {
    return keyed_hash(secret, prover == PeerRole::caller ? "cfs proof of the caller" : "cfs proof of the acceptor",
                      transcript);
}

bool is_proof(ByteView claimed, const Proof& expected) {
    return claimed.size() == expected.size() && ::CRYPTO_memcmp(claimed.data(), expected.data(), expected.size()) == 0;
}

std::uint64_t frame_seed(const std::string& secret, const PeerTranscript& transcript) {
    return load<std::uint64_t>(keyed_hash(secret, "cfs frame seed", transcript));
}

}  // namespace base
