#include "base/io/control_client.hh"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/io/clock.hh"
#include "base/io/json_text.hh"
#include "base/io/line_socket.hh"
#include "base/io/unix_socket.hh"

namespace base {
namespace {

Result<void> send_all(int socket, std::string_view text) {
    while (!text.empty()) {
        const auto sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return errno_failure(errno, "control socket");
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return {};
}

Result<std::string> receive_line(int socket, Instant until) {
    std::string line;
    for (;;) {
        const auto left = until - monotonic_now();
        pollfd wait{socket, POLLIN, 0};
        const auto ready = ::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(left.to_milliseconds(), 0)));
        if (ready < 0 && errno == EINTR) continue;
        if (ready < 0) return errno_failure(errno, "control socket");
        if (ready == 0) return failure(std::errc::timed_out, "the daemon does not answer");
        char chunk[16 * 1024];
        const auto got = ::recv(socket, chunk, sizeof chunk, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno_failure(errno, "control socket");
        if (got == 0) return failure(std::errc::connection_reset, "the daemon ended before it answered");
        line.append(chunk, static_cast<std::size_t>(got));
        if (const auto end = line.find('\n'); end != std::string::npos) return line.substr(0, end);
    }
}

class UnixControlStream : public ControlStream {
  public:
    UnixControlStream(EventLoop& loop, FileDescriptor socket, Callbacks callbacks)
        : callbacks_(std::move(callbacks)), socket_(std::make_shared<LineSocket>(loop, std::move(socket))) {
        socket_->open([this](std::string_view line) { on_line(line); },
                      [this](const Error& why) { callbacks_.closed(why); });
    }
    ~UnixControlStream() override { socket_->close(); }

    void send(const boost::json::object& line) override { socket_->send(boost::json::serialize(line)); }

  private:
    void on_line(std::string_view line) {
        const auto object = parse_json_object(line);
        if (object) return callbacks_.received(*object);
        socket_->close();
        callbacks_.closed({std::make_error_code(std::errc::bad_message), "the daemon sent something that is not JSON"});
    }

    Callbacks callbacks_;
    std::shared_ptr<LineSocket> socket_;
};

}  // namespace

Result<boost::json::object> call_control(const std::string& path, const boost::json::object& request, Duration limit) {
    BASE_ASSIGN(const auto socket, connect_unix(path));
    BASE_TRY(send_all(socket.get(), boost::json::serialize(request) + "\n"));
    BASE_ASSIGN(const auto line, receive_line(socket.get(), monotonic_now() + limit));
    auto reply = parse_json_object(line);
    if (!reply) return failure(std::errc::bad_message, "the daemon sent something that is not JSON");
    if (!true_member(*reply, "ok")) {
        return failure(std::errc::operation_not_permitted, text_member(*reply, "error").value_or("refused"));
    }
    return *std::move(reply);
}

Result<std::unique_ptr<ControlStream>> ControlStream::connect(EventLoop& loop, const std::string& path,
                                                              Callbacks callbacks) {
    BASE_ASSIGN(auto socket, connect_unix(path));
    return std::make_unique<UnixControlStream>(loop, std::move(socket), std::move(callbacks));
}

}  // namespace base
