#include "blockrep/driver/attach_client.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/ensure.hh"
#include "base/io/clock.hh"
#include "base/io/log.hh"
#include "base/io/random.hh"
#include "base/io/unix_socket.hh"

namespace blockrep {
namespace {

constexpr auto retry_after = base::Duration::milliseconds(100);
constexpr auto retry_limit = base::Duration::milliseconds(500);  // of one attempt, while the loop waits
constexpr auto longest_goodbye = base::Duration::seconds(2);
constexpr std::size_t input_size = 16 * 1024;

base::Result<void> receive_all(int socket, base::MutableByteView into) {
    for (std::size_t filled = 0; filled < into.size();) {
        const auto got = ::recv(socket, into.data() + filled, into.size() - filled, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return base::failure(std::errc::timed_out, "blockrepd does not answer");
        if (got < 0) return base::errno_failure(errno, "attach socket");
        if (got == 0) return base::failure(std::errc::connection_reset, "blockrepd hung up");
        filled += static_cast<std::size_t>(got);
    }
    return {};
}

}  // namespace

AttachClient::AttachClient(base::EventLoop& loop, std::string resource, Options options)
    : loop_(loop),
      resource_(std::move(resource)),
      options_(std::move(options)),
      identity_(base::random_uuid()),
      input_(input_size) {}

// Whoever sees us end may want the device at once: it is free when the daemon has hung up, too.
AttachClient::~AttachClient() {
    reading_.reset();
    writing_.reset();
    const auto until = base::monotonic_now() + longest_goodbye;
    const std::lock_guard lock(mutex_);
    if (!socket_.is_open() || ::shutdown(socket_.get(), SHUT_WR) != 0) return;
    char rest[4096];
    for (ssize_t got = -1; got != 0 && base::monotonic_now() < until;) {
        pollfd end{socket_.get(), POLLIN, 0};
        ::poll(&end, 1, 100);
        got = ::recv(socket_.get(), rest, sizeof rest, MSG_DONTWAIT);
        if (got < 0 && errno != EAGAIN && errno != EINTR) return;
    }
}

base::Result<std::unique_ptr<AttachClient>> AttachClient::open(base::EventLoop& loop, const std::string& resource,
                                                               Options options) {
    if (resource.empty() || resource.size() > attach::longest_name) {
        return base::failure(std::errc::invalid_argument, "a resource's name has 1 to 255 characters");
    }
    std::unique_ptr<AttachClient> client(new AttachClient(loop, resource, std::move(options)));
    BASE_ASSIGN(auto memory, SharedMemory::create(client->options_.pool_length));
    client->pool_ = std::make_unique<BufferPool>(std::move(memory));
    BASE_ASSIGN(auto socket, client->connect(client->options_.connect_limit));
    client->adopt(std::move(socket));
    return client;
}

// ---- connecting
base::Result<base::FileDescriptor> AttachClient::connect(base::Duration limit) {
    BASE_ASSIGN(auto socket, base::connect_unix(options_.socket, limit));
    base::limit_waiting(socket, limit);
    BASE_TRY(exchange_hello(socket.get()));
    ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) | O_NONBLOCK);
    return socket;
}

base::Result<void> AttachClient::exchange_hello(int socket) {
    attach::HelloHead head;
    head.client = identity_;
    head.pool_length = pool_->length();
    head.name_length = static_cast<std::uint32_t>(resource_.size());
    base::ByteWriter hello;
    hello.append(attach::bytes_of(head)).append(base::as_bytes(resource_));
    BASE_TRY(attach::send_with_descriptor(socket, hello.bytes(), pool_->memory().descriptor()));
    return take_welcome(socket);
}

base::Result<void> AttachClient::take_welcome(int socket) {
    base::Bytes raw(sizeof(attach::WelcomeHead));
    BASE_TRY(receive_all(socket, raw));
    const auto welcome = attach::load_struct<attach::WelcomeHead>(raw);
    if (welcome.magic != attach::magic || welcome.version != attach::version ||
        welcome.text_length > attach::longest_text) {
        return base::failure(std::errc::protocol_error, "what listens on the attach socket is not this blockrepd");
    }
    base::Bytes text(welcome.text_length);
    BASE_TRY(receive_all(socket, text));
    if (welcome.status != 0) {
        return base::failure(std::errc(static_cast<int>(welcome.status)), std::string(base::as_text(text)));
    }
    const bool sane = welcome.sector_size >= 512 && welcome.sector_size <= 4096 && welcome.size != 0;
    if (!sane) return base::failure(std::errc::protocol_error, "blockrepd describes an impossible device");
    if (size_ != 0) {  // attached before: other threads rely on what was said then
        if (size_ == welcome.size && sector_size_ == welcome.sector_size) return {};
        return base::failure(std::errc::protocol_error, resource_ + " is another device than before");
    }
    size_ = welcome.size;
    sector_size_ = welcome.sector_size;
    return {};
}

void AttachClient::adopt(base::FileDescriptor socket) {
    const std::scoped_lock lock(mutex_);
    socket_ = std::move(socket);
    problem_.clear();
    output_.clear();
    filled_ = 0;
    for (const auto& [id, pending] : pending_) transmit(pending);
    send_output();
    reading_ = loop_.watch_readable(socket_.get(), [this] { on_readable(); });
}

void AttachClient::disconnected(const std::string& why) {
    base::log_warning("{}: blockrepd is away ({}); requests wait", resource_, why);
    reading_.reset();
    writing_.reset();
    {
        const std::scoped_lock lock(mutex_);
        socket_.reset();
        writer_armed_ = false;
        problem_ = "blockrepd is away: " + why;
    }
    retry_ = loop_.after(retry_after, [this] { reconnect(); });
}

void AttachClient::reconnect() {
    auto socket = connect(retry_limit);
    if (socket) {
        base::log_info("{}: attached again", resource_);
        return adopt(*std::move(socket));
    }
    {
        const std::scoped_lock lock(mutex_);
        problem_ = "blockrepd is away: " + socket.error().message();
    }
    retry_ = loop_.after(retry_after, [this] { reconnect(); });
}

std::string AttachClient::waiting_because() const {
    const std::scoped_lock lock(mutex_);
    return problem_;
}

// ---- requests
void AttachClient::read(std::uint64_t offset, base::MutableByteView into, Completion done) {
    begin({{0, attach::Operation::read, 0, offset, into.size(), 0}, std::move(done), into, {}});
}

void AttachClient::write(std::uint64_t offset, base::ByteView from, base::Durability durability, Completion done) {
    const std::uint32_t flags = durability == base::Durability::stable ? attach::flag_stable : 0;
    begin({{0, attach::Operation::write, flags, offset, from.size(), 0}, std::move(done), {}, from});
}

void AttachClient::flush(Completion done) {
    begin({{0, attach::Operation::flush, 0, 0, 0, 0}, std::move(done), {}, {}});
}

void AttachClient::discard(std::uint64_t offset, std::uint64_t length, Completion done) {
    begin({{0, attach::Operation::discard, 0, offset, length, 0}, std::move(done), {}, {}});
}

void AttachClient::begin(Pending pending) {
    const auto refused = attach::validate(pending.request, size_, sector_size_, pool_->length());
    if (refused != 0) {
        const std::string where = std::to_string(pending.request.length) + " bytes at " +
                                  std::to_string(pending.request.offset) + " of " + resource_;
        loop_.post([done = std::move(pending.done), refused, where] { done(base::errno_failure(refused, where)); });
        return;
    }
    pending.placed = place(pending);  // copies: not under the lock
    const std::scoped_lock lock(mutex_);
    waiting_.push_back(std::move(pending));
    start_waiting();
    if (!writer_armed_) send_output();
}

// Finds room in the pool, or the place of memory that lies there already. False: there is none now.
bool AttachClient::place(Pending& pending) {
    const bool reads = pending.request.operation == attach::Operation::read;
    const bool writes = pending.request.operation == attach::Operation::write;
    if (!reads && !writes) return true;
    const auto memory = reads ? base::ByteView(pending.copy_to) : pending.copy_from;
    if (const auto inside = pool_->offset_of(memory); inside && *inside % sector_size_ == 0) {
        pending.request.pool_offset = *inside;
        pending.copy_to = {};
        return true;
    }
    const auto offset = pool_->take(pending.request.length);
    if (!offset) return false;
    pending.request.pool_offset = *offset;
    pending.in_pool = true;
    if (writes) base::copy_bytes(memory, pool_->at(*offset, memory.size()));
    return true;
}

// Who has its place starts. Among those without, nobody overtakes the first.
void AttachClient::start_waiting() {
    bool room = true;
    for (auto i = waiting_.begin(); i != waiting_.end() && pending_.size() < attach::most_in_flight;) {
        if (!i->placed) i->placed = room = room && place(*i);
        if (!i->placed) {
            ++i;
            continue;
        }
        const auto id = next_id_++;
        auto& started = pending_[id] = std::move(*i);
        i = waiting_.erase(i);
        started.request.id = id;
        transmit(started);
    }
}

void AttachClient::transmit(const Pending& pending) {
    if (!socket_.is_open()) return;
    const auto raw = attach::bytes_of(pending.request);
    output_.insert(output_.end(), raw.begin(), raw.end());
}

void AttachClient::send_output() {
    while (!output_.empty() && socket_.is_open()) {
        const auto sent = ::send(socket_.get(), output_.data(), output_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) {
            if (errno == EAGAIN) arm_writer();
            return;  // a broken socket is noticed by the reader
        }
        output_.erase(output_.begin(), output_.begin() + sent);
    }
}

void AttachClient::arm_writer() {
    if (writer_armed_) return;
    writer_armed_ = true;
    loop_.post([this, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.lock() || !socket_.is_open()) return;
        writing_ = loop_.watch_writable(socket_.get(), [this] {
            const std::scoped_lock lock(mutex_);
            send_output();
            if (!output_.empty()) return;
            writer_armed_ = false;
            writing_.reset();
        });
    });
}

// ---- answers
void AttachClient::on_readable() {
    const auto space = std::span(input_).subspan(filled_);
    const auto got = ::recv(socket_.get(), space.data(), space.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return disconnected(got == 0 ? "it hung up" : std::generic_category().message(errno));
    filled_ += static_cast<std::size_t>(got);
    const auto whole = filled_ / sizeof(attach::Reply) * sizeof(attach::Reply);
    const auto replies = base::Bytes(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(whole));
    std::copy(input_.begin() + static_cast<std::ptrdiff_t>(whole),
              input_.begin() + static_cast<std::ptrdiff_t>(filled_), input_.begin());
    filled_ -= whole;
    on_replies(replies);
}

void AttachClient::on_replies(base::ByteView replies) {
    std::vector<Answered> answered;
    answered.reserve(replies.size() / sizeof(attach::Reply));
    {
        const std::scoped_lock lock(mutex_);
        for (; !replies.empty(); replies = replies.subspan(sizeof(attach::Reply))) {
            const auto reply = attach::load_struct<attach::Reply>(replies);
            const auto found = pending_.find(reply.id);
            if (found == pending_.end()) continue;
            answered.push_back({std::move(found->second), reply.status});
            pending_.erase(found);
        }
    }
    for (const auto& each : answered) take_from_pool(each);
    {
        const std::scoped_lock lock(mutex_);
        start_waiting();
        if (!writer_armed_) send_output();
    }
    const std::weak_ptr<int> alive = alive_;
    const auto resource = resource_;
    for (const auto& [pending, status] : answered) {
        if (!alive.lock()) return;
        if (status == 0) {
            pending.done({});
        } else {
            pending.done(base::errno_failure(static_cast<int>(status), resource));
        }
    }
}

void AttachClient::take_from_pool(const Answered& answered) {
    const auto& [pending, status] = answered;
    if (!pending.in_pool) return;
    const auto& request = pending.request;
    if (status == 0 && !pending.copy_to.empty()) {
        base::copy_bytes(pool_->at(request.pool_offset, request.length), pending.copy_to);
    }
    pool_->give_back(request.pool_offset, request.length);
}

base::MutableByteView AttachClient::take_buffer(std::size_t length) {
    const auto offset = pool_->take(length);
    if (!offset) return {};
    return pool_->at(*offset, length);
}

void AttachClient::give_back_buffer(base::MutableByteView buffer) {
    const auto offset = pool_->offset_of(buffer);
    base::ensure(offset.has_value(), "the buffer is one of the pool");
    pool_->give_back(*offset, buffer.size());
    const std::scoped_lock lock(mutex_);
    start_waiting();
    if (!writer_armed_) send_output();
}

}  // namespace blockrep
