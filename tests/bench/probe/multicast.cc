// bench_multicast first|second SECONDS: two members of a group, on two nodes; each message is answered by one of the
// other member. Prints how many a second went to and fro: what Corosync's ordered multicast alone allows, where each
// side must have the other's word before it says its own.
#include <corosync/cpg.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t members_needed = 2;

struct Side {
    cpg_handle_t handle = 0;
    unsigned node = 0;
    bool complete = false;
    std::size_t heard = 0;  // of the other
};
Side side;

void need(cs_error_t outcome, const char* what) {
    if (outcome == CS_OK) return;
    std::fprintf(stderr, "bench_multicast: %s: error %d\n", what, static_cast<int>(outcome));
    std::exit(1);
}

void say() {
    char text[64] = {};
    iovec piece{text, sizeof text};
    cs_error_t outcome = CS_ERR_TRY_AGAIN;
    while (outcome == CS_ERR_TRY_AGAIN) outcome = cpg_mcast_joined(side.handle, CPG_TYPE_AGREED, &piece, 1);
    need(outcome, "cpg_mcast_joined");
}

void delivered(cpg_handle_t, const cpg_name*, uint32_t node, uint32_t, void*, std::size_t) {
    if (node == side.node) return;
    ++side.heard;
    say();
}

void changed(cpg_handle_t, const cpg_name*, const cpg_address*, std::size_t members, const cpg_address*, std::size_t,
             const cpg_address*, std::size_t) {
    side.complete = members == members_needed;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fputs("usage: bench_multicast first|second SECONDS\n", stderr);
        return 2;
    }
    cpg_callbacks_t callbacks{delivered, changed};
    need(cpg_initialize(&side.handle, &callbacks), "cpg_initialize");
    need(cpg_local_get(side.handle, &side.node), "cpg_local_get");
    cpg_name group{};
    group.length = static_cast<uint32_t>(std::strlen(std::strcpy(group.value, "cfs-bench")));
    need(cpg_join(side.handle, &group), "cpg_join");
    while (!side.complete) need(cpg_dispatch(side.handle, CS_DISPATCH_ONE), "cpg_dispatch");

    const auto begin = Clock::now();
    const auto until = begin + std::chrono::seconds(std::atoi(argv[2]));
    if (std::string(argv[1]) == "first") say();
    while (side.complete && Clock::now() < until) need(cpg_dispatch(side.handle, CS_DISPATCH_ONE), "cpg_dispatch");
    const auto seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    std::printf("%.1f\n", 2 * static_cast<double>(side.heard) / seconds);
    cpg_finalize(side.handle);
    return 0;
}
