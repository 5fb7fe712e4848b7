// Authenticated TCP between two nodes, in frames: what blockrep's replication link and dlm's message mesh run over.
//
// Both ends prove that they know the shared secret (HMAC-SHA256 over both sides' nonces, bound to who called whom, so
// that nothing can be reflected), before a byte of anybody's protocol is accepted. Each frame carries an XXH3 checksum
// seeded from that proof. A frame that is too long, damaged or out of order closes the connection. A silent peer is
// noticed by heartbeats. docs/format/peer-connection.md has the bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/aligned_buffer.hh"
#include "base/bytes.hh"
#include "base/error.hh"
#include "base/io/event_loop.hh"
#include "base/node.hh"

namespace base {

inline constexpr std::size_t max_frame_message = 256 * 1024;   // bytes
inline constexpr std::size_t max_frame_payload = 1024 * 1024;  // bytes

// Bytes to be sent that somebody else owns: not copied; `owner` is kept until they are sent.
struct OutgoingPayload {
    ByteView bytes;
    std::shared_ptr<const void> owner;
};

struct PeerEndpoint {
    std::string host;  // an address, not a name to be resolved
    std::uint16_t port = 0;
    std::string text() const { return host + ":" + std::to_string(port); }
};

struct PeerOptions {
    std::string service;  // both ends must name the same: "blockrep r0"
    std::string secret;   // 1 to 256 bytes
    NodeId self;
    Duration handshake_limit = Duration::seconds(5);
    Duration heartbeat = Duration::milliseconds(500);  // a frame is sent at least this often
    Duration silence_limit = Duration::seconds(3);     // nothing received for so long: closed
    std::size_t queue_limit = 256 * 1024 * 1024;       // bytes waiting to be sent: more closes the connection
};

class PeerConnection {
  public:
    struct Callbacks {
        // One frame. On the loop thread. The payload is the receiver's to keep.
        std::function<void(ByteView message, std::shared_ptr<AlignedBuffer> payload)> received;
        // Once, on the loop thread, unless close() was called by the owner.
        std::function<void(const Error& why)> closed;
    };
    virtual ~PeerConnection() = default;

    // Must be called on the loop thread before anything is received: inside the callback that delivered it.
    virtual void start(Callbacks callbacks) = 0;
    // Any thread. Frames arrive in the order of the calls. After a close they are dropped in silence.
    virtual void send(Bytes message, OutgoingPayload payload = {}) = 0;
    // Loop thread. No callback afterwards. What is queued is dropped.
    virtual void close() = 0;

    virtual NodeId peer() const = 0;
    virtual std::string remote_address() const = 0;
};

using PeerConnected = std::function<void(std::shared_ptr<PeerConnection>)>;
// permission_denied: the two secrets differ, and only then.
using PeerRefused = std::function<void(const Error& why)>;

// Accepts peers on one address for one service. Loop thread. Destroying it stops listening, not the connections.
class PeerListener {
  public:
    virtual ~PeerListener() = default;
    static Result<std::unique_ptr<PeerListener>> listen(EventLoop& loop, const PeerEndpoint& local,
                                                        const PeerOptions& options, PeerConnected connected,
                                                        PeerRefused refused);
};

// One attempt to connect; exactly one of the callbacks, on the loop thread. Destroying the handle gives up the attempt.
class PeerDial {
  public:
    virtual ~PeerDial() = default;
    // `local_host` empty: any.
    static std::unique_ptr<PeerDial> start(EventLoop& loop, const PeerEndpoint& remote, const std::string& local_host,
                                           const PeerOptions& options, PeerConnected connected, PeerRefused failed);
};

}  // namespace base
