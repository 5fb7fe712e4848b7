// Keeps the processors from sleeping while this process is busy. A processor that sleeps between two messages takes
// 20 µs and more to wake, on a virtual machine above all, and whoever waits for an answer waits for that at every hop.
// Linux lets a process ask for less (Documentation/power/pm_qos_interface.rst): while /dev/cpu_dma_latency is held at
// 0, as on a virtual machine, idle processors poll; at 2 µs, as on iron, they do not sleep deeply. The kernel withdraws
// it when the process ends, not while it is stopped.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "base/io/file_descriptor.hh"
#include "base/time.hh"

namespace base {

// Something arrived for this process: a request, a message. Any thread; costs an increment. Without a CpuLatencyRequest
// in the process it means nothing.
void note_arrival();

// Asks for awake processors from the moment that `burst` arrivals came within `window` until a window brings fewer than
// half as many. One to a process; outlives all that notes arrivals. Where the kernel refuses, nothing is asked for.
class CpuLatencyRequest {
  public:
    static constexpr std::uint64_t burst = 16;
    static constexpr Duration window = Duration::milliseconds(32);

    CpuLatencyRequest() : CpuLatencyRequest("/dev/cpu_dma_latency") {}
    explicit CpuLatencyRequest(const std::string& device);
    ~CpuLatencyRequest();
    CpuLatencyRequest(const CpuLatencyRequest&) = delete;
    CpuLatencyRequest& operator=(const CpuLatencyRequest&) = delete;

  private:
    friend void note_arrival();
    void burst_arrived();
    void run();
    bool wait_for_burst();
    bool stays_busy();
    bool ask(std::int32_t microseconds);

    FileDescriptor device_;
    std::int32_t wanted_;  // µs
    std::atomic<std::int64_t> last_burst_{0};
    std::atomic<bool> awake_{false};
    std::mutex mutex_;
    std::condition_variable changed_;
    bool busy_ = false;
    bool ended_ = false;
    std::thread thread_;
};

}  // namespace base
