// A backing disk: a block device or a file, past the page cache (O_DIRECT, libaio), without blocking the loop thread.
#pragma once

#include <libaio.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hh"
#include "base/io/event_loop.hh"
#include "base/io/file_descriptor.hh"
#include "blockrep/core/payload.hh"
#include "blockrep/driver/partial_sectors.hh"
#include "blockrep/driver/worker.hh"
#include "blockrep/format/range.hh"

namespace blockrep {

// Opens for reading and writing, for this process alone: a disk that is mounted, or that another process of ours has
// open, is refused with device_or_resource_busy. Nothing is read. Blocking.
base::Result<base::FileDescriptor> open_exclusively(const std::string& path);
// Bytes of a file or block device.
base::Result<std::uint64_t> size_of_disk(int descriptor, const std::string& path);

// Loop thread only. Each request is answered once, on the loop thread, never from inside the call. Ranges are multiples
// of 512 bytes whatever sectors the disk has (driver/partial_sectors). Memory must be aligned to 512 bytes; it is kept
// (by its owner) until the answer. A short read or write is an error.
class Disk {
  public:
    using Done = std::function<void(base::Result<void>)>;

    // Blocking, for a moment.
    static base::Result<std::unique_ptr<Disk>> open(base::EventLoop& loop, const std::string& path);
    // Waits for what is in flight and answers none of it. Allowed from inside an answer.
    ~Disk();

    std::uint64_t size() const { return size_; }

    void read(const Range& range, const ReadBuffer& into, Done done);
    // `stable`: with FUA. A payload of zeros may become a hole.
    void write(const Range& range, const Payload& payload, bool stable, Done done);
    // Everything answered before this call is on stable media when it is answered.
    void flush(Done done);
    // Reads a range of any length, off the loop thread.
    void read_all(const Range& range, std::function<void(base::Result<base::Bytes>)> done);

    // Requests are collected; this hands them to the kernel. Also done by itself on the next turn of the loop.
    void submit();
    std::size_t in_flight() const { return unanswered_ + partial_->unanswered(); }

  private:
    struct Request {
        iocb control{};
        std::uint64_t length = 0;  // that must have been transferred
        std::shared_ptr<const void> owner;
        Done done;
    };

    Disk(base::EventLoop& loop, base::FileDescriptor file, std::string path);
    base::Result<void> prepare();
    std::unique_ptr<Request> take_request();
    void enqueue(std::unique_ptr<Request> request);
    void submit_later();
    void refuse_first(int errno_value);
    void collect();
    void finish(std::unique_ptr<Request> request, std::int64_t result);
    void start_flush();
    void flushed(const base::Result<void>& outcome);
    void flush_by_worker();
    void zero_by_worker(const Range& range, bool stable, Done done);
    base::Result<void> zero_now(const Range& range, bool stable);

    base::EventLoop& loop_;
    base::FileDescriptor file_;
    const std::string path_;
    std::uint64_t size_ = 0;
    bool can_punch_ = true;  // the worker's
    bool kernel_flushes_ = true;

    io_context_t context_ = nullptr;
    base::FileDescriptor completions_;  // eventfd
    base::EventLoop::Handle watch_;
    std::deque<std::unique_ptr<Request>> waiting_;  // not handed to the kernel yet
    std::vector<std::unique_ptr<Request>> spare_;
    std::size_t in_kernel_ = 0;
    std::size_t unanswered_ = 0;
    bool submit_posted_ = false;

    bool flushing_ = false;
    std::vector<Done> flush_running_;
    std::vector<Done> flush_waiting_;

    std::unique_ptr<PartialSectors> partial_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
    std::unique_ptr<Worker> worker_;
};

}  // namespace blockrep
