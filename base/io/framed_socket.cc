#include "base/io/framed_socket.hh"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>

#include "base/io/clock.hh"

namespace base {
namespace {

constexpr int receives_per_wakeup = 16;  // then other work of the loop has its turn

}  // namespace

FramedSocket::FramedSocket(EventLoop& loop, FileDescriptor socket, std::string remote_address)
    : loop_(loop), socket_(std::move(socket)), remote_address_(std::move(remote_address)) {
    last_received_ = last_sent_ = monotonic_now();
}

FramedSocket::~FramedSocket() = default;

void FramedSocket::open(FrameSink sink, Failed failed) {
    sink_ = std::move(sink);
    failed_ = std::move(failed);
    reading_ = loop_.watch_readable(socket_.get(), [this] { on_readable(); });
}

void FramedSocket::become_connection(NodeId peer, const PeerOptions& options) {
    peer_ = peer;
    heartbeat_every_ = options.heartbeat;
    silence_limit_ = options.silence_limit;
    {
        const std::scoped_lock lock(sending_);
        queue_limit_ = options.queue_limit;
    }
    heartbeat_timer_ = loop_.after(heartbeat_every_, [this] { heartbeat(); });
}

void FramedSocket::start(Callbacks callbacks) {
    sink_ = [received = std::move(callbacks.received)](const FrameDecoder::Frame& frame) {
        if (frame.kind == FrameKind::data) received(frame.message, frame.payload);
    };
    failed_ = std::move(callbacks.closed);
}

void FramedSocket::send(Bytes message, OutgoingPayload payload) {
    send_frame(FrameKind::data, std::move(message), std::move(payload));
}

void FramedSocket::seed_sending(std::uint64_t seed) {
    const std::scoped_lock lock(sending_);
    seed_ = seed;
}

void FramedSocket::send_frame(FrameKind kind, Bytes message, OutgoingPayload payload) {
    ensure(message.size() <= max_frame_message && payload.bytes.size() <= max_frame_payload, "a frame is too long");
    FrameHeader header{kind, static_cast<std::uint32_t>(message.size()),
                       static_cast<std::uint32_t>(payload.bytes.size()), 0, 0};
    const std::scoped_lock lock(sending_);
    if (closed_) return;
    header.number = next_number_++;
    header.checksum = frame_checksum(header, message, payload.bytes, seed_);
    const auto raw = encode_frame_header(header);
    message.insert(message.begin(), raw.begin(), raw.end());
    queue_.push_back({std::move(message), std::move(payload)});
    queued_bytes_ += queue_.back().size();
    last_sent_ = monotonic_now();
    if (writer_armed_) {
        if (queued_bytes_ <= queue_limit_) return;
        closed_ = true;
        loop_.post([weak = weak_from_this()] {
            if (const auto self = weak.lock())
                self->fail({std::make_error_code(std::errc::no_buffer_space), "the peer does not take what is sent"});
        });
        return;
    }
    const auto progress = send_queued();
    if (progress == Progress::all_sent) return;
    // The loop thread goes on, or finds out what is wrong.
    writer_armed_ = true;
    loop_.post([weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self || !self->socket_.is_open()) return;
        self->writing_ =
            self->loop_.watch_writable(self->socket_.get(), [raw_self = self.get()] { raw_self->on_writable(); });
    });
}

FramedSocket::Progress FramedSocket::send_queued() {
    while (!queue_.empty()) {
        if (!send_some(queue_.front())) return errno == EAGAIN ? Progress::would_block : Progress::failed;
        if (queue_.front().sent < queue_.front().size()) continue;
        queued_bytes_ -= queue_.front().size();
        queue_.pop_front();
    }
    return Progress::all_sent;
}

// False: errno says why nothing was sent.
bool FramedSocket::send_some(Outgoing& item) {
    iovec parts[2];
    int count = 0;
    const auto add = [&](ByteView bytes) {
        if (!bytes.empty()) parts[count++] = {const_cast<std::byte*>(bytes.data()), bytes.size()};
    };
    if (item.sent < item.head.size()) add(ByteView(item.head).subspan(item.sent));
    const auto in_payload = item.sent > item.head.size() ? item.sent - item.head.size() : 0;
    add(item.payload.bytes.subspan(in_payload));
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = static_cast<std::size_t>(count);
    for (;;) {
        const auto sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            item.sent += static_cast<std::size_t>(sent);
            return true;
        }
        if (errno != EINTR) return false;
    }
}

void FramedSocket::on_writable() {
    const auto self = shared_from_this();
    Error why;
    {
        const std::scoped_lock lock(sending_);
        const auto progress = send_queued();
        if (progress == Progress::would_block) return;
        if (progress == Progress::all_sent) {
            writer_armed_ = false;
            writing_.reset();
            return;
        }
        why = {std::error_code(errno, std::generic_category()), "sending to " + remote_address_};
    }
    fail(why);
}

void FramedSocket::on_readable() {
    const auto self = shared_from_this();
    for (int i = 0; i < receives_per_wakeup && socket_.is_open(); ++i) {
        const auto space = decoder_.space();
        const auto got = ::recv(socket_.get(), space.data(), space.size(), MSG_DONTWAIT);
        if (got < 0) {
            if (errno == EAGAIN || errno == EINTR) return;
            return fail({std::error_code(errno, std::generic_category()), "receiving from " + remote_address_});
        }
        if (got == 0) {
            return fail(
                {std::make_error_code(std::errc::connection_reset), remote_address_ + " closed the connection"});
        }
        last_received_ = monotonic_now();
        const auto taken = decoder_.filled(static_cast<std::size_t>(got), [this](const FrameDecoder::Frame& frame) {
            const auto sink = sink_;  // it may replace or drop itself
            if (sink && socket_.is_open()) sink(frame);
        });
        if (!taken) return fail({taken.error().code, remote_address_ + ": " + taken.error().detail});
        if (static_cast<std::size_t>(got) < space.size()) return;
    }
}

void FramedSocket::heartbeat() {
    const auto self = shared_from_this();
    const auto now = monotonic_now();
    if (now - last_received_ > silence_limit_) {
        return fail({std::make_error_code(std::errc::timed_out), remote_address_ + " is silent"});
    }
    bool idle = false;
    {
        const std::scoped_lock lock(sending_);
        idle = queue_.empty() && now - last_sent_ >= heartbeat_every_ - Duration::milliseconds(1);
    }
    if (idle) send_frame(FrameKind::heartbeat, {}, {});
    heartbeat_timer_ = loop_.after(heartbeat_every_, [this] { heartbeat(); });
}

void FramedSocket::close() {
    reading_.reset();
    writing_.reset();
    heartbeat_timer_.reset();
    {
        const std::scoped_lock lock(sending_);
        closed_ = true;
        queue_.clear();
        socket_.reset();
    }
    sink_ = nullptr;
    failed_ = nullptr;
}

void FramedSocket::fail(const Error& why) {
    const auto self = shared_from_this();
    if (!socket_.is_open()) return;
    const auto failed = failed_;
    close();
    if (failed) failed(why);
}

}  // namespace base
