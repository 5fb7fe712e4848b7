// The other end of a control socket: one blocking call for tools, a stream for daemons.
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/error.hh"
#include "base/io/event_loop.hh"

namespace base {

// Sends a request and waits for one line. A reply with "ok":false is an Error that carries its text; no daemon there is
// std::errc::no_such_file_or_directory or connection_refused with a hint. Blocks the thread for at most `limit`.
Result<boost::json::object> call_control(const std::string& path, const boost::json::object& request, Duration limit);

// A connection on an event loop. Loop thread only.
class ControlStream {
  public:
    struct Callbacks {
        std::function<void(const boost::json::object& line)> received;
        std::function<void(const Error& why)> closed;  // once; not after the stream was destroyed
    };
    virtual ~ControlStream() = default;
    static Result<std::unique_ptr<ControlStream>> connect(EventLoop& loop, const std::string& path,
                                                          Callbacks callbacks);
    virtual void send(const boost::json::object& line) = 0;
};

}  // namespace base
