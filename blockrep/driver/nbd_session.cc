#include "blockrep/driver/nbd_session.hh"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/io/log.hh"
#include "blockrep/nbd/reply.hh"

namespace blockrep {
namespace {

constexpr std::size_t input_size = 64 * 1024;
constexpr auto negotiation_limit = base::Duration::seconds(15);
constexpr int receives_per_wakeup = 16;      // then other work of the loop has its turn
constexpr std::size_t most_in_flight = 512;  // requests of one client
constexpr std::uint64_t most_bytes_in_flight = 32ULL << 20;

std::shared_ptr<base::AlignedBuffer> make_buffer(std::size_t size) {
    return std::make_shared<base::AlignedBuffer>(size);
}

}  // namespace

std::expected<nbd::Export, nbd::ExportRefusal> NbdSession::Catalog::find(std::string_view name) const {
    const auto device = devices_.find(name);
    if (!device) {
        const bool unknown = device.error().code == std::errc::no_such_device;
        return std::unexpected(nbd::ExportRefusal{
            unknown ? nbd::OptionReply::err_unknown : nbd::OptionReply::err_policy, device.error().message()});
    }
    nbd::Export found;
    found.name = std::string(name);
    found.description = "replicated device " + found.name;
    found.size = (*device)->size();
    found.minimum_block = base::sector_size;
    return found;
}

NbdSession::NbdSession(base::EventLoop& loop, base::FileDescriptor socket, const DeviceDirectory& devices)
    : loop_(loop),
      socket_(std::move(socket)),
      devices_(devices),
      catalog_(devices),
      negotiation_(catalog_),
      input_(input_size) {}

void NbdSession::open(Ended ended) {
    ended_ = std::move(ended);
    reading_ = loop_.watch_readable(socket_.get(), [this] { on_readable(); });
    limit_ = loop_.after(negotiation_limit, [this] { end("it never chose an export"); });
    reply_at_once(nbd::Negotiation::greeting());
}

void NbdSession::close() {
    ended_ = nullptr;
    end({});
}

void NbdSession::end(const std::string& why) {
    const auto self = shared_from_this();
    if (!socket_.is_open()) return;
    if (!why.empty()) base::log_info("nbd: a client is gone: {}", why);
    reading_.reset();
    writing_.reset();
    limit_.reset();
    socket_.reset();
    for (; !replies_.empty(); replies_.pop_front()) answered(replies_.front().weight);
    release_device();
    if (ended_) ended_(self);
    ended_ = nullptr;
}

// The client holds the device until the last request is answered.
void NbdSession::release_device() {
    if (!device_ || in_flight_ > 0 || socket_.is_open()) return;
    device_->client_closed();
    device_.reset();
}

// ---- input
void NbdSession::on_readable() {
    const auto self = shared_from_this();
    for (int i = 0; i < receives_per_wakeup && socket_.is_open() && reading_; ++i) {
        if (!receive()) return;
        consume();
    }
}

// False: nothing more has arrived yet, or the client is gone.
bool NbdSession::receive() {
    std::span<std::byte> space;
    if (payload_) {
        space = payload_->bytes().subspan(payload_filled_);
    } else {
        if (begin_ == end_) begin_ = end_ = 0;
        if (end_ == input_.size()) {
            std::copy(input_.begin() + static_cast<std::ptrdiff_t>(begin_), input_.end(), input_.begin());
            end_ -= begin_;
            begin_ = 0;
        }
        space = std::span(input_).subspan(end_);
    }
    const auto got = ::recv(socket_.get(), space.data(), space.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) {
        end(got == 0 ? (finishing_ ? "" : "it hung up") : std::generic_category().message(errno));
        return false;
    }
    (payload_ ? payload_filled_ : end_) += static_cast<std::size_t>(got);
    return true;
}

void NbdSession::consume() {
    bool more = true;
    while (more && socket_.is_open() && !is_full() && !finishing_) {
        if (!device_) {
            more = consume_negotiation();
        } else if (payload_) {
            more = consume_payload();
        } else {
            more = consume_request();
        }
    }
    if (socket_.is_open()) pause_or_resume();
}

bool NbdSession::consume_negotiation() {
    const auto needed = negotiation_.needed();
    if (end_ - begin_ < needed) return false;
    base::Bytes out;
    negotiation_.receive(std::span(input_).subspan(begin_, needed), out);
    begin_ += needed;
    if (!out.empty()) reply_at_once(std::move(out));
    switch (negotiation_.phase()) {
        case nbd::Negotiation::Phase::closed:
            if (!negotiation_.close_reason().empty()) base::log_info("nbd: {}", negotiation_.close_reason());
            finishing_ = true;
            if (in_flight_ == 0) end({});
            return false;
        case nbd::Negotiation::Phase::transmission:
            return begin_transmission();
        default:
            return true;
    }
}

bool NbdSession::begin_transmission() {
    export_ = negotiation_.chosen();
    auto found = devices_.find(export_.name);
    if (!found) {
        end(found.error().message());
        return false;
    }
    device_ = *std::move(found);
    device_->client_opened();
    limit_.reset();
    return true;
}

bool NbdSession::consume_request() {
    if (end_ - begin_ < nbd::request_size) return false;
    const auto request = nbd::decode_request(std::span(input_).subspan(begin_, nbd::request_size));
    begin_ += nbd::request_size;
    if (!request) {
        end("it does not speak NBD any more");
        return false;
    }
    if (request->payload() > nbd::max_payload) {
        end("it sent a write longer than 32 MiB");
        return false;
    }
    if (request->payload() == 0) {
        start(*request, nullptr);
        return true;
    }
    pending_ = *request;
    payload_ = make_buffer(request->payload());
    payload_filled_ = std::min<std::size_t>(request->payload(), end_ - begin_);
    std::copy_n(input_.begin() + static_cast<std::ptrdiff_t>(begin_), payload_filled_, payload_->bytes().begin());
    begin_ += payload_filled_;
    return true;
}

bool NbdSession::consume_payload() {
    if (payload_filled_ < payload_->size()) return false;
    start(pending_, std::exchange(payload_, nullptr));
    return true;
}

// ---- requests
void NbdSession::start(const nbd::Request& request, std::shared_ptr<base::AlignedBuffer> payload) {
    const auto refusal = nbd::validate(request, export_);
    if (request.command() == nbd::Command::disconnect && refusal == nbd::NbdError::none) {
        finishing_ = true;
        if (in_flight_ == 0) end({});
        return;
    }
    const std::uint64_t weight = request.command() == nbd::Command::read ? request.length : request.payload();
    if (refusal != nbd::NbdError::none) {
        auto head = request.command() == nbd::Command::read
                        ? nbd::failed_read_reply(negotiation_.structured_replies(), request.cookie, refusal, "refused")
                        : nbd::simple_reply(request.cookie, refusal);
        return reply_at_once(std::move(head));
    }
    if (request.command() == nbd::Command::read) return start_read(request);
    if (request.length == 0 && request.command() != nbd::Command::flush) {
        return reply_at_once(nbd::simple_reply(request.cookie, nbd::NbdError::none));
    }
    ++in_flight_;
    in_flight_bytes_ += weight;
    switch (request.command()) {
        case nbd::Command::write: {
            const Payload data{payload, payload->bytes().data(), payload->size()};
            return device_->write({request.offset, request.length}, data, request.fua(),
                                  reply_when_done(request, weight));
        }
        case nbd::Command::trim:
        case nbd::Command::write_zeroes:
            return device_->write({request.offset, request.length}, Payload{nullptr, nullptr, request.length},
                                  request.fua(), reply_when_done(request, weight));
        default:
            return device_->flush(reply_when_done(request, weight));
    }
}

void NbdSession::start_read(const nbd::Request& request) {
    const bool structured = negotiation_.structured_replies();
    if (request.length == 0) {
        return reply_at_once(nbd::read_reply_header(structured, request.cookie, request.offset, 0));
    }
    ++in_flight_;
    in_flight_bytes_ += request.length;
    auto buffer = make_buffer(request.length);
    const ReadBuffer into{buffer, buffer->bytes().data()};
    device_->read(
        {request.offset, request.length}, into,
        [self = shared_from_this(), request, buffer = std::move(buffer),
         structured](base::Result<void> outcome) mutable {
            if (!self->socket_.is_open()) return self->answered(request.length);
            Reply reply{{}, nullptr, 0, request.length};
            if (outcome) {
                reply.head = nbd::read_reply_header(structured, request.cookie, request.offset, request.length);
                reply.data = std::move(buffer);
            } else {
                const auto error = nbd::to_nbd_error(base::to_errno(outcome.error()));
                reply.head = nbd::failed_read_reply(structured, request.cookie, error, outcome.error().message());
            }
            self->reply(std::move(reply));
        });
}

DevicePort::Done NbdSession::reply_when_done(const nbd::Request& request, std::uint64_t weight) {
    return [self = shared_from_this(), cookie = request.cookie, weight](base::Result<void> outcome) {
        if (!self->socket_.is_open()) return self->answered(weight);
        const auto error = outcome ? nbd::NbdError::none : nbd::to_nbd_error(base::to_errno(outcome.error()));
        self->reply({nbd::simple_reply(cookie, error), nullptr, 0, weight});
    };
}

void NbdSession::answered(std::uint64_t weight) {
    --in_flight_;
    in_flight_bytes_ -= weight;
    release_device();
}

// ---- output
// ------------------------------------------------------------------------------------------------------------ Of a
// request, or of the negotiation, that was not counted yet.
void NbdSession::reply_at_once(base::Bytes head) {
    ++in_flight_;
    reply({std::move(head), nullptr, 0, 0});
}

// Replies that are made in one turn of the loop leave together.
void NbdSession::reply(Reply reply) {
    replies_.push_back(std::move(reply));
    if (writing_ || flush_posted_) return;
    flush_posted_ = true;
    loop_.post([self = shared_from_this()] {
        self->flush_posted_ = false;
        if (!self->writing_) self->send_replies();
    });
}

void NbdSession::send_replies() {
    const auto self = shared_from_this();
    while (!replies_.empty() && socket_.is_open()) {
        if (!send_some()) {
            if (errno != EAGAIN) return end(std::generic_category().message(errno));
            if (!writing_) writing_ = loop_.watch_writable(socket_.get(), [this] { send_replies(); });
            return;
        }
    }
    writing_.reset();
    if (!socket_.is_open()) return;
    if (finishing_ && in_flight_ == 0) return end({});
    consume();
}

// False: errno says why nothing was sent.
bool NbdSession::send_some() {
    std::array<iovec, 64> parts;
    std::size_t count = 0;
    for (const auto& item : replies_) {
        if (count + 2 > parts.size()) break;
        const auto head =
            item.sent < item.head.size() ? base::ByteView(item.head).subspan(item.sent) : base::ByteView{};
        if (!head.empty()) parts[count++] = {const_cast<std::byte*>(head.data()), head.size()};
        if (!item.data) continue;
        const auto data = item.data->bytes().subspan(item.sent > item.head.size() ? item.sent - item.head.size() : 0);
        parts[count++] = {data.data(), data.size()};
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    const auto sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return errno == EINTR;
    account_sent(static_cast<std::size_t>(sent));
    return true;
}

void NbdSession::account_sent(std::size_t bytes) {
    while (bytes > 0) {
        auto& first = replies_.front();
        const auto part = std::min(bytes, first.size() - first.sent);
        first.sent += part;
        bytes -= part;
        if (first.sent < first.size()) return;
        const auto weight = first.weight;
        replies_.pop_front();
        answered(weight);
    }
}

// ---- flow control
bool NbdSession::is_full() const { return in_flight_ >= most_in_flight || in_flight_bytes_ >= most_bytes_in_flight; }

void NbdSession::pause_or_resume() {
    if (is_full()) {
        reading_.reset();
    } else if (!reading_) {
        reading_ = loop_.watch_readable(socket_.get(), [this] { on_readable(); });
    }
}

}  // namespace blockrep
