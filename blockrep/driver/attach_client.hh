// A replicated device of this machine as base::BlockDevice, through blockrepd's attach socket and shared memory.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/block_device.hh"
#include "base/io/event_loop.hh"
#include "base/io/file_descriptor.hh"
#include "base/uuid.hh"
#include "blockrep/driver/attach_protocol.hh"
#include "blockrep/driver/buffer_pool.hh"

namespace blockrep {

// Requests may be made on any thread; completions run on the loop thread. Memory from take_buffer() travels without a
// copy, any other is copied through the pool. When blockrepd is away, requests wait and are made again when it is back
// (in the same order; nothing is failed). Destroy it on the loop thread, with nothing in flight; the device is not in use
// by it any more then (the daemon is waited for, 2 s at most).
class AttachClient : public base::BlockDevice {
  public:
    struct Options {
        std::string socket = attach::socket_path();
        std::uint64_t pool_length = 64 << 20;                        // bytes
        base::Duration connect_limit = base::Duration::seconds(30);  // of the first connection
    };
    // Blocks until the device is attached: refused when it is not Primary here or its data cannot be reached. Waits for
    // what an earlier client that died had in flight.
    static base::Result<std::unique_ptr<AttachClient>> open(base::EventLoop& loop, const std::string& resource,
                                                            Options options);
    static base::Result<std::unique_ptr<AttachClient>> open(base::EventLoop& loop, const std::string& resource) {
        return open(loop, resource, Options{});
    }
    ~AttachClient() override;

    std::uint64_t size() const override { return size_; }
    std::uint32_t alignment() const override { return sector_size_; }
    void read(std::uint64_t offset, base::MutableByteView into, Completion done) override;
    void write(std::uint64_t offset, base::ByteView from, base::Durability durability, Completion done) override;
    void flush(Completion done) override;
    void discard(std::uint64_t offset, std::uint64_t length, Completion done) override;

    // Page-aligned memory that the daemon sees too. Empty when the pool is used up: take other memory then.
    base::MutableByteView take_buffer(std::size_t length);
    void give_back_buffer(base::MutableByteView buffer);

    // What the daemon knows this client by; "drained" certificates name it.
    const base::Uuid& identity() const { return identity_; }
    // Empty, or why requests wait (blockrepd is away). Any thread.
    std::string waiting_because() const;

  private:
    struct Pending {
        attach::Request request;
        Completion done;
        base::MutableByteView copy_to;  // of a read that went through the pool
        base::ByteView copy_from;       // of a write that waits for room in the pool
        bool in_pool = false;           // a piece of the pool is to be given back
        bool placed = false;            // it has all that it needs of the pool
    };
    struct Answered {
        Pending pending;
        std::uint32_t status = 0;
    };

    AttachClient(base::EventLoop& loop, std::string resource, Options options);
    base::Result<base::FileDescriptor> connect(base::Duration limit);
    base::Result<void> exchange_hello(int socket);
    base::Result<void> take_welcome(int socket);
    void adopt(base::FileDescriptor socket);
    void begin(Pending pending);
    bool place(Pending& pending);
    void start_waiting();
    void transmit(const Pending& pending);
    void send_output();
    void arm_writer();
    void on_readable();
    void on_replies(base::ByteView replies);
    void take_from_pool(const Answered& answered);
    void disconnected(const std::string& why);
    void reconnect();

    base::EventLoop& loop_;
    const std::string resource_;
    const Options options_;
    const base::Uuid identity_;
    std::unique_ptr<BufferPool> pool_;
    std::uint64_t size_ = 0;
    std::uint32_t sector_size_ = 512;
    base::EventLoop::Handle reading_;
    base::EventLoop::Handle writing_;
    base::EventLoop::Handle retry_;
    base::Bytes input_;
    std::size_t filled_ = 0;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);

    mutable std::mutex mutex_;  // guards what follows
    base::FileDescriptor socket_;
    std::string problem_;
    std::uint64_t next_id_ = 1;
    std::map<std::uint64_t, Pending> pending_;  // sent, or to be sent when the daemon is back
    std::deque<Pending> waiting_;               // for room in the pool, or for fewer requests in flight
    base::Bytes output_;
    bool writer_armed_ = false;
};

}  // namespace blockrep
