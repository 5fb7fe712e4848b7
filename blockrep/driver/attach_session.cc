#include "blockrep/driver/attach_session.hh"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/io/log.hh"

namespace blockrep {
namespace {

constexpr std::size_t input_size = 40 * 512;
constexpr auto hello_limit = base::Duration::seconds(15);

}  // namespace

AttachSession::AttachSession(base::EventLoop& loop, base::FileDescriptor socket)
    : loop_(loop), socket_(std::move(socket)) {}

void AttachSession::open(Events events) {
    events_ = std::move(events);
    reading_ = loop_.watch_readable(socket_.get(), [this] { on_hello_readable(); });
    limit_ = loop_.after(hello_limit, [this] { hang_up("attach: a client never said what it wants"); });
}

void AttachSession::close() { hang_up({}); }

// ---- hello
void AttachSession::on_hello_readable() {
    const auto self = shared_from_this();
    const auto complete = receive_hello();
    if (!complete) return hang_up(complete.error().message());
    if (!*complete) return;
    limit_.reset();
    reading_ = loop_.watch_readable(socket_.get(), [this] { on_early_readable(); });
    if (const auto parsed = parse_hello(); !parsed) return refuse(parsed.error());
    events_.hello(self);
}

// A client says nothing before its welcome: it has given up waiting for it.
void AttachSession::on_early_readable() { hang_up("attach: a client of " + resource_ + " left before its welcome"); }

void AttachSession::close_if_gone() {
    if (!socket_.is_open()) return;
    pollfd end{socket_.get(), POLLRDHUP, 0};
    if (::poll(&end, 1, 0) > 0) close();
}

// Keeps the last descriptor that came, closes all others.
void AttachSession::adopt_descriptors(msghdr& message) {
    for (auto* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const auto count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int descriptor = -1;
            std::memcpy(&descriptor, CMSG_DATA(header) + i * sizeof descriptor, sizeof descriptor);
            received_ = base::FileDescriptor(descriptor);
        }
    }
}

// True when all of it is there.
base::Result<bool> AttachSession::receive_hello() {
    const auto have = input_.size();
    std::size_t wanted = sizeof(attach::HelloHead);
    if (have >= wanted) wanted += attach::load_struct<attach::HelloHead>(input_).name_length;
    input_.resize(wanted);
    iovec part{input_.data() + have, wanted - have};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const auto got = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    input_.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) return base::failure(std::errc::connection_reset, "attach: a client left before its hello");
    adopt_descriptors(message);
    if (input_.size() < sizeof(attach::HelloHead)) return false;
    const auto head = attach::load_struct<attach::HelloHead>(input_);
    if (head.magic != attach::magic || head.version != attach::version || head.name_length == 0 ||
        head.name_length > attach::longest_name || head.reserved != 0) {
        return base::failure(std::errc::protocol_error, "attach: what a client says is no hello");
    }
    return input_.size() == sizeof(attach::HelloHead) + head.name_length;
}

base::Result<void> AttachSession::parse_hello() {
    const auto head = attach::load_struct<attach::HelloHead>(input_);
    client_ = head.client;
    resource_ = base::as_text(base::ByteView(input_).subspan(sizeof head));
    input_.clear();
    const bool printable = std::ranges::all_of(resource_, [](char each) { return each > ' ' && each < 0x7f; });
    if (!printable) {
        resource_.clear();
        return base::failure(std::errc::invalid_argument, "a resource's name is printable");
    }
    if (head.pool_length > attach::largest_pool) {
        return base::failure(std::errc::invalid_argument, "a buffer pool has at most 1 GiB");
    }
    BASE_ASSIGN(pool_, SharedMemory::map(std::move(received_), head.pool_length));
    return {};
}

void AttachSession::refuse(const base::Error& why) {
    base::log_info("attach: {} is refused to a client: {}", resource_, why.message());
    auto text = why.message();
    text.resize(std::min(text.size(), attach::longest_text));
    attach::WelcomeHead head;
    head.status = static_cast<std::uint32_t>(base::to_errno(why));
    head.text_length = static_cast<std::uint32_t>(text.size());
    base::ByteWriter out;
    out.append(attach::bytes_of(head)).append(base::as_bytes(text));
    const auto& bytes = out.bytes();
    if (socket_.is_open() && ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        base::log_info("attach: the client is gone already");
    }
    hang_up({});
}

void AttachSession::welcome(std::shared_ptr<DevicePort> device) {
    if (!socket_.is_open()) return;
    device_ = std::move(device);
    device_->client_opened();
    attach::WelcomeHead head;
    head.sector_size = base::sector_size;
    head.size = device_->size();
    const auto raw = attach::bytes_of(head);
    output_.insert(output_.end(), raw.begin(), raw.end());
    input_.resize(input_size);
    reading_ = loop_.watch_readable(socket_.get(), [this] { on_readable(); });
    send_output();
}

// ---- requests
void AttachSession::on_readable() {
    const auto self = shared_from_this();
    const auto space = std::span(input_).subspan(filled_);
    const auto got = ::recv(socket_.get(), space.data(), space.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return hang_up("");
    filled_ += static_cast<std::size_t>(got);
    consume();
}

// Stops reading while too much is in flight; the client is told its limit, so that only a broken one gets there.
void AttachSession::consume() {
    std::size_t at = 0;
    while (socket_.is_open() && filled_ - at >= sizeof(attach::Request) && !is_full()) {
        const auto request = attach::load_struct<attach::Request>(base::ByteView(input_).subspan(at));
        at += sizeof request;
        start(request);
    }
    if (!socket_.is_open()) return;
    std::copy(input_.begin() + static_cast<std::ptrdiff_t>(at), input_.begin() + static_cast<std::ptrdiff_t>(filled_),
              input_.begin());
    filled_ -= at;
    if (is_full()) {
        reading_.reset();
    } else if (!reading_) {
        reading_ = loop_.watch_readable(socket_.get(), [this] { on_readable(); });
    }
}

// A reply that the client does not take counts as well.
bool AttachSession::is_full() const {
    return in_flight_ + output_.size() / sizeof(attach::Reply) >= attach::most_in_flight;
}

void AttachSession::start(const attach::Request& request) {
    ++in_flight_;
    const auto wrong = attach::validate(request, device_->size(), base::sector_size, pool_->bytes().size());
    if (wrong != 0) return answered(request.id, static_cast<std::uint32_t>(wrong));
    auto done = [self = shared_from_this(), id = request.id](base::Result<void> outcome) {
        self->answered(id, outcome ? 0 : static_cast<std::uint32_t>(base::to_errno(outcome.error())));
    };
    const Range range{request.offset, request.length};
    const bool stable = (request.flags & attach::flag_stable) != 0;
    auto* const data = pool_->bytes().data() + request.pool_offset;
    switch (request.operation) {
        case attach::Operation::read:
            return device_->read(range, {pool_, data}, std::move(done));
        case attach::Operation::write:
            return device_->write(range, {pool_, data, request.length}, stable, std::move(done));
        case attach::Operation::discard:
            return device_->write(range, {nullptr, nullptr, request.length}, stable, std::move(done));
        case attach::Operation::flush:
            return device_->flush(std::move(done));
    }
}

void AttachSession::answered(std::uint64_t id, std::uint32_t status) {
    --in_flight_;
    if (!socket_.is_open()) return check_drained();
    const attach::Reply reply{id, status, 0};
    const auto raw = attach::bytes_of(reply);
    output_.insert(output_.end(), raw.begin(), raw.end());
    if (output_posted_ || writing_) return;
    output_posted_ = true;  // replies of one turn of the loop leave together
    loop_.post([self = shared_from_this()] {
        self->output_posted_ = false;
        if (!self->writing_) self->send_output();
        if (self->socket_.is_open() && !self->reading_) self->consume();
    });
}

void AttachSession::send_output() {
    while (!output_.empty() && socket_.is_open()) {
        const auto sent = ::send(socket_.get(), output_.data(), output_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == EAGAIN) {
            if (!writing_) {
                writing_ = loop_.watch_writable(socket_.get(), [this] {
                    const auto self = shared_from_this();
                    send_output();
                    if (socket_.is_open() && !reading_) consume();
                });
            }
            return;
        }
        if (sent < 0) return hang_up(std::generic_category().message(errno));
        output_.erase(output_.begin(), output_.begin() + sent);
    }
    writing_.reset();
}

// ---- the end
void AttachSession::hang_up(const std::string& why) {
    const auto self = shared_from_this();
    if (!socket_.is_open()) return;
    if (!why.empty()) base::log_info("{}", why);
    reading_.reset();
    writing_.reset();
    limit_.reset();
    const auto socket =
        std::exchange(socket_, {});  // closed last: the client waits for that, and the device is free then
    if (events_.hung_up) events_.hung_up(self);
    check_drained();
}

void AttachSession::check_drained() {
    if (in_flight_ > 0 || drained_told_) return;
    drained_told_ = true;
    const auto self = shared_from_this();
    if (device_) device_->client_closed();
    device_.reset();
    const auto events = std::exchange(events_, {});
    if (events.drained) events.drained(self);
}

}  // namespace blockrep
