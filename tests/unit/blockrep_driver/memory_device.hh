// A device in memory that answers on the next turn of the loop, or when it is told to.
#pragma once

#include <algorithm>
#include <atomic>
#include <deque>

#include "base/aligned_buffer.hh"
#include "base/io/event_loop.hh"
#include "blockrep/driver/device_port.hh"

namespace blockrep {

class MemoryDevice : public DevicePort {
  public:
    MemoryDevice(base::EventLoop& loop, std::uint64_t length) : loop_(loop), content(length) {}

    std::uint64_t size() const override { return content.size(); }
    void read(const Range& range, const ReadBuffer& into, Done done) override {
        perform([this, range, into, done = std::move(done)] {
            std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(range.offset), range.length, into.data);
            done(outcome());
        });
    }
    void write(const Range& range, const Payload& payload, bool stable, Done done) override {
        stable_writes += stable ? 1 : 0;
        perform([this, range, payload, done = std::move(done)] {
            const auto at = content.begin() + static_cast<std::ptrdiff_t>(range.offset);
            if (payload.is_zeros()) {
                std::fill_n(at, range.length, std::byte{0});
            } else {
                std::copy_n(payload.data, range.length, at);
            }
            done(outcome());
        });
    }
    void flush(Done done) override {
        ++flushes;
        perform([this, done = std::move(done)] { done(outcome()); });
    }
    void client_opened() override { ++clients; }
    void client_closed() override { --clients; }

    void thaw() {
        frozen = false;
        for (; !held.empty(); held.pop_front()) loop_.post(std::move(held.front()));
    }

    base::EventLoop& loop_;
    std::vector<std::byte> content;
    std::deque<std::function<void()>> held;
    bool frozen = false;
    bool failing = false;
    std::atomic<int> clients = 0;
    int flushes = 0;
    int stable_writes = 0;

  private:
    base::Result<void> outcome() const {
        if (failing) return base::failure(std::errc::io_error, "made to fail");
        return {};
    }
    void perform(std::function<void()> work) {
        if (frozen) {
            held.push_back(std::move(work));
        } else {
            loop_.post(std::move(work));
        }
    }
};

class OneDevice : public DeviceDirectory {
  public:
    explicit OneDevice(std::shared_ptr<DevicePort> device) : device_(std::move(device)) {}
    std::vector<std::string> names() const override { return {"r0"}; }
    base::Result<std::shared_ptr<DevicePort>> find(std::string_view name) const override {
        if (refused) return base::failure(std::errc::operation_not_permitted, "r0 is Secondary");
        if (name == "r0" || name.empty()) return device_;
        return base::failure(std::errc::no_such_device, "there is no such resource");
    }
    std::atomic<bool> refused = false;

  private:
    std::shared_ptr<DevicePort> device_;
};

}  // namespace blockrep
