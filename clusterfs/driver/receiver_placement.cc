#include "clusterfs/driver/receiver_placement.hh"

#include <linux/fuse.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

namespace clusterfs {
namespace {

constexpr std::uint32_t trusted = 64;           // this score makes a lone caller
constexpr std::uint32_t weight_of_others = 8;   // of a request that is not its
constexpr std::uint32_t looked_up_after = 512;  // it may have moved meanwhile
constexpr std::uint32_t large = 32 * 1024;      // bytes

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

CallerWatch::Step CallerWatch::received(std::uint32_t caller, bool is_large) {
    if (caller == 0) return Step::stay;
    if (caller != caller_ || is_large) {
        score_ -= std::min(score_, weight_of_others);
        if (score_ > 0) return Step::stay;
        caller_ = caller;
        return std::exchange(followed_, 0) != 0 ? Step::leave : Step::stay;
    }
    score_ = std::min(score_ + 1, trusted);
    if (score_ < trusted && followed_ == 0) return Step::stay;
    const bool is_due = followed_ == 0 || followed_ >= looked_up_after;
    followed_ = is_due ? 1 : followed_ + 1;
    return is_due ? Step::follow : Step::stay;
}

void ReceiverPlacement::received(const void* request) {
    fuse_in_header header{};
    std::memcpy(&header, request, sizeof header);
    switch (watch_.received(header.pid, is_large(request, header))) {
        case CallerWatch::Step::stay:
            return;
        case CallerWatch::Step::follow:
            return follow(header.pid);
        case CallerWatch::Step::leave:
            return leave();
    }
}

void ReceiverPlacement::follow(std::uint32_t caller) {
    const auto processor = processor_of(caller);
    if (!processor || *processor >= CPU_SETSIZE || !CPU_ISSET(*processor, &allowed())) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(*processor, &one);
    ::sched_setaffinity(0, sizeof one, &one);
}

void ReceiverPlacement::leave() {
    if (CPU_COUNT(&allowed()) > 0) ::sched_setaffinity(0, sizeof(cpu_set_t), &allowed());
}

}  // namespace clusterfs
