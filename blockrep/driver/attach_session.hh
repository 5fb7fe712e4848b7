// One client of the attach socket, from its hello until its last request is answered.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>

#include "base/io/event_loop.hh"
#include "base/io/file_descriptor.hh"
#include "blockrep/driver/attach_protocol.hh"
#include "blockrep/driver/buffer_pool.hh"
#include "blockrep/driver/device_port.hh"

namespace blockrep {

// Loop thread only. Made by std::make_shared. After the client hung up it drains: what was in flight goes on to its
// end.
class AttachSession : public std::enable_shared_from_this<AttachSession> {
  public:
    struct Events {
        std::function<void(const std::shared_ptr<AttachSession>&)> hello;    // complete: call welcome() or refuse()
        std::function<void(const std::shared_ptr<AttachSession>&)> hung_up;  // begins to drain
        std::function<void(const std::shared_ptr<AttachSession>&)> drained;  // last of all, once
    };
    AttachSession(base::EventLoop& loop, base::FileDescriptor socket);
    void open(Events events);
    void close();  // as if the client had hung up
    void forget_events() { events_ = {}; }

    // What the hello said.
    const std::string& resource() const { return resource_; }
    const base::Uuid& client() const { return client_; }

    void welcome(std::shared_ptr<DevicePort> device);
    void refuse(const base::Error& why);

    bool is_connected() const { return socket_.is_open(); }
    // As it would notice by reading, where nothing is read because too much is in flight.
    void close_if_gone();
    bool is_attached() const { return device_ != nullptr; }
    std::size_t in_flight() const { return in_flight_; }

  private:
    void on_hello_readable();
    void on_early_readable();
    base::Result<bool> receive_hello();
    void adopt_descriptors(msghdr& message);
    base::Result<void> parse_hello();
    void on_readable();
    void consume();
    bool is_full() const;
    void start(const attach::Request& request);
    void answered(std::uint64_t id, std::uint32_t status);
    void send_output();
    void hang_up(const std::string& why);
    void check_drained();

    base::EventLoop& loop_;
    base::FileDescriptor socket_;
    Events events_;
    base::EventLoop::Handle reading_;
    base::EventLoop::Handle writing_;
    base::EventLoop::Handle limit_;  // of the hello
    base::Bytes input_;              // the hello; then a buffer for requests
    std::size_t filled_ = 0;         // of that buffer
    base::Bytes output_;
    bool output_posted_ = false;

    base::FileDescriptor received_;  // the descriptor that came with the hello
    std::string resource_;
    base::Uuid client_;
    std::uint64_t pool_length_ = 0;
    std::shared_ptr<SharedMemory> pool_;
    std::shared_ptr<DevicePort> device_;
    std::size_t in_flight_ = 0;
    bool drained_told_ = false;
};

}  // namespace blockrep
