// A connected TCP socket that sends and receives frames; what PeerConnection is after its handshake.
#pragma once

#include <deque>
#include <mutex>

#include "base/io/file_descriptor.hh"
#include "base/io/frame.hh"
#include "base/io/peer_connection.hh"

namespace base {

class FramedSocket : public PeerConnection, public std::enable_shared_from_this<FramedSocket> {
  public:
    using FrameSink = std::function<void(const FrameDecoder::Frame&)>;
    using Failed = std::function<void(const Error&)>;

    FramedSocket(EventLoop& loop, FileDescriptor socket, std::string remote_address);
    ~FramedSocket() override;

    // Handshake's use, loop thread: frames go to `sink` until start() is called.
    void open(FrameSink sink, Failed failed);
    void send_frame(FrameKind kind, Bytes message, OutgoingPayload payload);
    void seed_sending(std::uint64_t seed);
    void seed_receiving(std::uint64_t seed) { decoder_.set_seed(seed); }
    // The handshake is over: heartbeats begin.
    void become_connection(NodeId peer, const PeerOptions& options);

    void start(Callbacks callbacks) override;
    void send(Bytes message, OutgoingPayload payload) override;
    void close() override;
    NodeId peer() const override { return peer_; }
    std::string remote_address() const override { return remote_address_; }

  private:
    struct Outgoing {
        Bytes head;  // frame header and message
        OutgoingPayload payload;
        std::size_t sent = 0;  // bytes of both
        std::size_t size() const { return head.size() + payload.bytes.size(); }
    };
    enum class Progress { all_sent, would_block, failed };

    void on_readable();
    void on_writable();
    void fail(const Error& why);
    Progress send_queued();
    bool send_some(Outgoing& item);
    void heartbeat();

    EventLoop& loop_;
    FileDescriptor socket_;
    const std::string remote_address_;
    NodeId peer_;
    Duration heartbeat_every_;
    Duration silence_limit_;
    FrameDecoder decoder_;
    FrameSink sink_;
    Failed failed_;
    EventLoop::Handle reading_;
    EventLoop::Handle writing_;
    EventLoop::Handle heartbeat_timer_;
    Instant last_received_;

    std::mutex sending_;  // guards what follows
    std::deque<Outgoing> queue_;
    std::size_t queued_bytes_ = 0;
    std::size_t queue_limit_ = 1024 * 1024;
    std::uint64_t next_number_ = 0;
    std::uint64_t seed_ = 0;
    Instant last_sent_;
    bool writer_armed_ = false;
    bool closed_ = false;
};

}  // namespace base
