#include "base/io/cpu_latency.hh"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>

#include "base/io/clock.hh"
#include "base/io/log.hh"

namespace base {
namespace {

constexpr std::int32_t no_request = -1;  // PM_QOS_DEFAULT_VALUE

std::atomic<std::uint64_t> arrivals{0};
std::atomic<CpuLatencyRequest*> active{nullptr};

// Iron wakes from its first sleep (C1) within 2 µs, and polling would slow its sibling; a guest's only sleep hands the
// processor back to the host.
std::int32_t tolerable_latency() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("flags")) return line.find(" hypervisor") == std::string::npos ? 2 : 0;
    }
    return 0;
}

}  // namespace

void note_arrival() {
    if ((arrivals.fetch_add(1, std::memory_order_relaxed) + 1) % CpuLatencyRequest::burst != 0) return;
    if (auto* const request = active.load()) request->burst_arrived();
}

CpuLatencyRequest::CpuLatencyRequest(const std::string& device)
    : device_(::open(device.c_str(), O_WRONLY | O_CLOEXEC)), wanted_(tolerable_latency()) {
    if (!device_.is_open()) {
        log_debug("{}: {}: processors may sleep between requests", device, std::strerror(errno));
        return;
    }
    if (!ask(no_request)) return;
    thread_ = std::thread([this] { run(); });
    active = this;
}

CpuLatencyRequest::~CpuLatencyRequest() {
    if (!thread_.joinable()) return;
    active = nullptr;
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void CpuLatencyRequest::burst_arrived() {
    if (awake_.load(std::memory_order_relaxed)) return;
    const auto now = monotonic_now().nanoseconds;
    if (now - last_burst_.exchange(now) > window.nanoseconds) return;
    {
        const std::lock_guard lock(mutex_);
        busy_ = true;
    }
    changed_.notify_one();
}

void CpuLatencyRequest::run() {
    while (wait_for_burst()) {
        awake_ = true;
        ask(wanted_);
        while (stays_busy()) {
        }
        ask(no_request);
        awake_ = false;
    }
}

// False: it is over.
bool CpuLatencyRequest::wait_for_burst() {
    std::unique_lock lock(mutex_);
    busy_ = false;
    changed_.wait(lock, [this] { return busy_ || ended_; });
    return !ended_;
}

bool CpuLatencyRequest::stays_busy() {
    const auto before = arrivals.load(std::memory_order_relaxed);
    std::unique_lock lock(mutex_);
    const bool ended = changed_.wait_for(lock, std::chrono::nanoseconds(window.nanoseconds), [this] { return ended_; });
    return !ended && arrivals.load(std::memory_order_relaxed) - before >= burst / 2;
}

bool CpuLatencyRequest::ask(std::int32_t microseconds) {
    return ::write(device_.get(), &microseconds, sizeof microseconds) == sizeof microseconds;
}

}  // namespace base
