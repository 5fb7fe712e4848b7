#include "clusterfs/driver/receiver_placement.hh"

#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "base/io/clock.hh"

namespace clusterfs {
namespace {

constexpr std::uint32_t trusted = 64;                          // this score makes a lone caller
constexpr std::uint32_t weight_of_others = 8;                  // of a request that is not its
constexpr std::uint32_t looked_up_after = 512;                 // it may have moved meanwhile
constexpr std::uint32_t large = 32 * 1024;                     // bytes
constexpr std::uint32_t tried = 1024;                          // requests, each way
constexpr std::uint32_t kept = 32768;                          // requests, before both are tried again
constexpr auto longest_gap = base::Duration::milliseconds(1);  // between two requests that say something
constexpr auto awake_for = base::Duration::microseconds(50);

// The processors that this process may use: asked before any thread was placed.
cpu_set_t processors_of_process() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(::getpid(), sizeof set, &set) != 0) CPU_ZERO(&set);
    return set;
}
const cpu_set_t& allowed() {
    static const cpu_set_t set = processors_of_process();
    return set;
}

// proc(5): the 39th field; the second is in parentheses and may hold anything.
std::optional<unsigned> processor_of(std::uint32_t thread) {
    std::ifstream file("/proc/" + std::to_string(thread) + "/stat");
    std::string text;
    if (!std::getline(file, text)) return std::nullopt;
    const auto behind_name = text.rfind(')');
    if (behind_name == std::string::npos) return std::nullopt;
    std::istringstream fields(text.substr(behind_name + 1));
    std::string skipped;
    for (int field = 3; field < 39; ++field) fields >> skipped;
    unsigned processor = 0;
    if (!(fields >> processor)) return std::nullopt;
    return processor;
}

bool is_large(const void* request, const fuse_in_header& header) {
    if (header.opcode == FUSE_WRITE) return header.len > large;
    if (header.opcode != FUSE_READ || header.len < sizeof header + sizeof(fuse_read_in)) return false;
    fuse_read_in read{};
    std::memcpy(&read, static_cast<const char*>(request) + sizeof header, sizeof read);
    return read.size > large;
}

}  // namespace

bool CallerWatch::received(std::uint32_t caller, bool is_large) {
    if (caller == 0) return is_alone_;
    if (caller == caller_ && !is_large) {
        score_ = std::min(score_ + 1, trusted);
        is_alone_ |= score_ == trusted;
        return is_alone_;
    }
    score_ -= std::min(score_, weight_of_others);
    if (score_ == 0) {
        caller_ = caller;
        is_alone_ = false;
    }
    return is_alone_;
}

WaitTrial::Way WaitTrial::received(base::Instant now) {
    const bool has_paused = now - last_ > longest_gap;
    last_ = now;
    if (has_paused && stage_ != Stage::settled) count_ = 0;
    if (count_++ == 0) began_ = now;
    if (count_ > (stage_ == Stage::settled ? kept : tried)) next_stage(now - began_);
    return way_;
}

// Staying awake takes a processor from whoever else could use it, and has to be worth that.
void WaitTrial::next_stage(base::Duration took) {
    count_ = 0;
    switch (stage_) {
        case Stage::trying_asleep:
            asleep_took_ = took;
            stage_ = Stage::trying_awake;
            way_ = Way::awake_elsewhere;
            return;
        case Stage::trying_awake:
            stage_ = Stage::settled;
            way_ = took * 10 < asleep_took_ * 9 ? Way::awake_elsewhere : Way::asleep_beside;
            return;
        case Stage::settled:
            stage_ = Stage::trying_asleep;
            way_ = Way::asleep_beside;
            return;
    }
}

void ReceiverPlacement::received(const void* request) {
    fuse_in_header header{};
    std::memcpy(&header, request, sizeof header);
    stays_awake_ = false;
    if (!watch_.received(header.pid, is_large(request, header))) return leave();
    stays_awake_ = may_stay_awake_ && trial_.received(base::monotonic_now()) == WaitTrial::Way::awake_elsewhere;
    if (stays_awake_) return leave();
    if (header.pid != 0) follow(header.pid);
}

void ReceiverPlacement::wait(int descriptor) const {
    if (!stays_awake_) return;
    const auto until = base::monotonic_now() + awake_for;
    pollfd waiting{descriptor, POLLIN, 0};
    while (::poll(&waiting, 1, 0) == 0 && base::monotonic_now() < until) {
    }
}

void ReceiverPlacement::follow(std::uint32_t caller) {
    if (followed_ != 0 && followed_ < looked_up_after) {
        ++followed_;
        return;
    }
    followed_ = 1;
    const auto processor = processor_of(caller);
    if (!processor || *processor >= CPU_SETSIZE || !CPU_ISSET(*processor, &allowed())) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(*processor, &one);
    ::sched_setaffinity(0, sizeof one, &one);
}

void ReceiverPlacement::leave() {
    if (std::exchange(followed_, 0) == 0) return;
    if (CPU_COUNT(&allowed()) > 0) ::sched_setaffinity(0, sizeof(cpu_set_t), &allowed());
}

}  // namespace clusterfs
