// A daemon's unix socket for its tools: one JSON object a line in, one or more a line out. Mode 0660; the caller's
// credentials come from the kernel (SO_PEERCRED).
#pragma once

#include <sys/types.h>

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/error.hh"
#include "base/io/event_loop.hh"

namespace base {

struct ControlCaller {
    pid_t process = 0;
    uid_t user = 0;
    gid_t group = 0;
    std::uint64_t connection = 0;  // the same for all requests of one connection, never used again
};

// Where answers to one request go. Cheap to copy; usable until the caller hangs up, after which it does nothing.
// Loop thread only.
class ControlReply {
  public:
    struct Channel;
    explicit ControlReply(std::weak_ptr<Channel> channel) : channel_(std::move(channel)) {}

    // {"ok":true, …members}
    void ok(boost::json::object members) const;
    void ok() const;
    // {"ok":false,"error":text}
    void error(const std::string& text) const;
    // Any JSON text without newlines: streams (subscriptions) and text written by JsonWriter. False: hung up.
    bool line(std::string json) const;
    // The same with "ok":true: {"ok":true,"name":json}
    void ok_raw(const std::string& name, const std::string& json) const;
    bool is_open() const { return !channel_.expired(); }
    // Called once, from the loop, when the caller hangs up; never when it has hung up already or the server ends.
    void on_hang_up(std::function<void()> gone) const;

  private:
    std::weak_ptr<Channel> channel_;
};

class ControlServer {
  public:
    using Handler =
        std::function<void(const boost::json::object& request, const ControlCaller& caller, ControlReply reply)>;
    virtual ~ControlServer() = default;

    // Makes the directory if need be; replaces a dead socket, refuses one that another process listens on. A line that
    // is not a JSON object, or longer than 64 KiB, is answered with an error. The handler runs on the loop thread.
    static Result<std::unique_ptr<ControlServer>> listen(EventLoop& loop, const std::string& path, Handler handler);
};

}  // namespace base
