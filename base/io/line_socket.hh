// A connected stream socket on an event loop that carries lines of text both ways; under control servers and streams.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hh"
#include "base/io/event_loop.hh"
#include "base/io/file_descriptor.hh"

namespace base {

// Loop thread only. Made by std::make_shared; must be kept by its owner.
class LineSocket : public std::enable_shared_from_this<LineSocket> {
  public:
    static constexpr std::size_t max_received_line = 1024 * 1024;  // bytes
    static constexpr std::size_t max_waiting = 16 * 1024 * 1024;   // bytes not taken by the other side: hung up on

    LineSocket(EventLoop& loop, FileDescriptor socket);
    void open(std::function<void(std::string_view line)> received, std::function<void(const Error&)> closed);
    void send(std::string_view line);  // the newline is added
    void close();                      // no callback afterwards
    bool is_open() const { return socket_.is_open(); }

  private:
    void on_readable();
    void take_lines();
    void flush();
    void fail(const Error& why);

    EventLoop& loop_;
    FileDescriptor socket_;
    std::function<void(std::string_view)> received_;
    std::function<void(const Error&)> closed_;
    std::string input_;
    std::string output_;
    EventLoop::Handle reading_;
    EventLoop::Handle writing_;
};

}  // namespace base
