#include "base/io/control_server.hh"

#include <sys/socket.h>

#include <cerrno>
#include <set>
#include <vector>

#include "base/io/json_text.hh"
#include "base/io/line_socket.hh"
#include "base/io/unix_socket.hh"

namespace base {

struct ControlReply::Channel {
    std::shared_ptr<LineSocket> socket;
    std::vector<std::function<void()>> hang_up;
};

void ControlReply::ok(boost::json::object members) const {
    members["ok"] = true;
    line(boost::json::serialize(members));
}

void ControlReply::ok() const { ok({}); }

void ControlReply::error(const std::string& text) const {
    line(boost::json::serialize(boost::json::object{{"ok", false}, {"error", text}}));
}

bool ControlReply::line(std::string json) const {
    const auto channel = channel_.lock();
    if (!channel) return false;
    channel->socket->send(json);
    return true;
}

void ControlReply::on_hang_up(std::function<void()> gone) const {
    if (const auto channel = channel_.lock()) channel->hang_up.push_back(std::move(gone));
}

void ControlReply::ok_raw(const std::string& name, const std::string& json) const {
    line("{\"ok\":true,\"" + name + "\":" + json + "}");
}

namespace {

constexpr std::size_t max_request = 64 * 1024;
constexpr std::size_t max_callers = 128;

class UnixControlServer : public ControlServer {
  public:
    UnixControlServer(EventLoop& loop, FileDescriptor listener, Handler handler)
        : loop_(loop), listener_(std::move(listener)), handler_(std::move(handler)) {
        watch_ = loop_.watch_readable(listener_.get(), [this] { accept_one(); });
    }
    ~UnixControlServer() override {
        for (const auto& channel : channels_) channel->socket->close();
    }

  private:
    void accept_one() {
        FileDescriptor accepted(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!accepted.is_open() || channels_.size() >= max_callers) return;
        ucred credentials{};
        socklen_t length = sizeof credentials;
        if (::getsockopt(accepted.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return;
        const ControlCaller caller{credentials.pid, credentials.uid, credentials.gid, ++connections_};
        auto channel = std::make_shared<ControlReply::Channel>();
        channel->socket = std::make_shared<LineSocket>(loop_, std::move(accepted));
        channels_.insert(channel);
        const std::weak_ptr<ControlReply::Channel> weak = channel;
        channel->socket->open([this, weak, caller](std::string_view line) { on_line(weak, caller, line); },
                              [this, weak](const Error&) { hung_up(weak.lock()); });
    }

    void hung_up(const std::shared_ptr<ControlReply::Channel>& channel) {
        if (!channel) return;
        channels_.erase(channel);
        for (const auto& gone : channel->hang_up) gone();
    }

    void on_line(const std::weak_ptr<ControlReply::Channel>& channel, const ControlCaller& caller,
                 std::string_view line) {
        const ControlReply reply(channel);
        if (line.size() > max_request) return reply.error("the request is longer than 64 KiB");
        const auto request = parse_json_object(line);
        if (!request) return reply.error("a request is one JSON object on one line");
        handler_(*request, caller, reply);
    }

    EventLoop& loop_;
    FileDescriptor listener_;
    Handler handler_;
    std::set<std::shared_ptr<ControlReply::Channel>> channels_;
    std::uint64_t connections_ = 0;
    EventLoop::Handle watch_;
};

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::listen(EventLoop& loop, const std::string& path,
                                                             Handler handler) {
    BASE_ASSIGN(auto listener, listen_unix(path));
    return std::make_unique<UnixControlServer>(loop, std::move(listener), std::move(handler));
}

}  // namespace base
