// One client of the NBD server: a connected socket, from the greeting to its end.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "base/aligned_buffer.hh"
#include "base/io/event_loop.hh"
#include "base/io/file_descriptor.hh"
#include "blockrep/driver/device_port.hh"
#include "blockrep/nbd/negotiation.hh"
#include "blockrep/nbd/request.hh"

namespace blockrep {

// Loop thread only. Made by std::make_shared; lives on after close() until its last request was answered.
class NbdSession : public std::enable_shared_from_this<NbdSession> {
  public:
    using Ended = std::function<void(const std::shared_ptr<NbdSession>&)>;

    NbdSession(base::EventLoop& loop, base::FileDescriptor socket, const DeviceDirectory& devices);
    // `ended` is called once, when the client is gone; not after close().
    void open(Ended ended);
    void close();

  private:
    // What the negotiation may offer, from the directory of devices.
    class Catalog : public nbd::ExportCatalog {
      public:
        explicit Catalog(const DeviceDirectory& devices) : devices_(devices) {}
        std::vector<std::string> names() const override { return devices_.names(); }
        std::expected<nbd::Export, nbd::ExportRefusal> find(std::string_view name) const override;

      private:
        const DeviceDirectory& devices_;
    };
    struct Reply {
        base::Bytes head;
        std::shared_ptr<base::AlignedBuffer> data;  // null: the head is all
        std::size_t sent = 0;
        std::uint64_t weight = 0;  // bytes that it counted as in flight
        std::size_t size() const { return head.size() + (data ? data->size() : 0); }
    };

    void on_readable();
    bool receive();
    void consume();
    bool consume_negotiation();
    bool begin_transmission();
    bool consume_request();
    bool consume_payload();
    void start(const nbd::Request& request, std::shared_ptr<base::AlignedBuffer> payload);
    void start_read(const nbd::Request& request);
    DevicePort::Done reply_when_done(const nbd::Request& request, std::uint64_t weight);
    void reply(Reply reply);
    void reply_at_once(base::Bytes head);
    void answered(std::uint64_t weight);
    void send_replies();
    bool send_some();
    void account_sent(std::size_t bytes);
    bool is_full() const;
    void pause_or_resume();
    void end(const std::string& why);
    void release_device();

    base::EventLoop& loop_;
    base::FileDescriptor socket_;
    const DeviceDirectory& devices_;
    Catalog catalog_;
    nbd::Negotiation negotiation_;
    Ended ended_;
    base::EventLoop::Handle reading_;
    base::EventLoop::Handle writing_;
    base::EventLoop::Handle limit_;  // of the negotiation

    base::Bytes input_;
    std::size_t begin_ = 0;  // of what is not consumed
    std::size_t end_ = 0;    // of what was received
    nbd::Request pending_;   // while its payload arrives
    std::shared_ptr<base::AlignedBuffer> payload_;
    std::size_t payload_filled_ = 0;

    std::shared_ptr<DevicePort> device_;
    nbd::Export export_;
    bool finishing_ = false;     // the client said that it goes
    std::size_t in_flight_ = 0;  // requests whose reply is not wholly sent
    std::uint64_t in_flight_bytes_ = 0;
    std::deque<Reply> replies_;
    bool flush_posted_ = false;
};

}  // namespace blockrep
