#include "base/io/line_socket.hh"

#include <sys/socket.h>

#include <cerrno>

namespace base {

LineSocket::LineSocket(EventLoop& loop, FileDescriptor socket) : loop_(loop), socket_(std::move(socket)) {}

void LineSocket::open(std::function<void(std::string_view)> received, std::function<void(const Error&)> closed) {
    received_ = std::move(received);
    closed_ = std::move(closed);
    reading_ = loop_.watch_readable(socket_.get(), [this] { on_readable(); });
}

void LineSocket::on_readable() {
    const auto self = shared_from_this();
    char chunk[16 * 1024];
    const auto got = ::recv(socket_.get(), chunk, sizeof chunk, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got < 0) return fail({std::error_code(errno, std::generic_category()), "control socket"});
    if (got == 0) return fail({std::make_error_code(std::errc::connection_reset), "the other side hung up"});
    input_.append(chunk, static_cast<std::size_t>(got));
    take_lines();
}

void LineSocket::take_lines() {
    std::size_t begin = 0;
    for (;;) {
        const auto end = input_.find('\n', begin);
        if (end == std::string::npos) break;
        const auto line = input_.substr(begin, end - begin);
        begin = end + 1;
        received_(line);
        if (!is_open()) return;
    }
    input_.erase(0, begin);
    if (input_.size() > max_received_line) fail({std::make_error_code(std::errc::message_size), "a line is too long"});
}

void LineSocket::send(std::string_view line) {
    if (!is_open()) return;
    output_.append(line);
    output_ += '\n';
    flush();
}

void LineSocket::flush() {
    const auto self = shared_from_this();
    while (!output_.empty()) {
        const auto sent = ::send(socket_.get(), output_.data(), output_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) break;
        output_.erase(0, static_cast<std::size_t>(sent));
    }
    if (output_.empty()) {
        writing_.reset();
        return;
    }
    // A broken socket becomes readable too: the reader reports it. One that takes nothing is given up.
    if (output_.size() > max_waiting) {
        loop_.post([weak = weak_from_this()] {
            if (const auto alive = weak.lock())
                alive->fail({std::make_error_code(std::errc::no_buffer_space), "the other side does not read"});
        });
        output_.clear();
        return;
    }
    if (!writing_) writing_ = loop_.watch_writable(socket_.get(), [this] { flush(); });
}

void LineSocket::close() {
    reading_.reset();
    writing_.reset();
    socket_.reset();
    closed_ = nullptr;
}

void LineSocket::fail(const Error& why) {
    const auto self = shared_from_this();
    const auto closed = closed_;
    close();
    if (closed) closed(why);
}

}  // namespace base
