// sim_posix_locks [--seeds N] [--from S] [--seconds T] [--trace]: flock and fcntl locks of two or three nodes under a
// virtual clock; each seed is another story of crashes, cuts, slow fences, ended processes and process ids used again,
// and ends in calm, where everything asked for must have been answered and every lock be gone.
#include "tests/sim/common/run_seeds.hh"
#include "tests/sim/posix_locks/world.hh"

int main(int argc, char** argv) {
    return sim::run_seeds("sim_posix_locks", argc, argv, [](std::uint64_t seed, bool trace) {
        sim_posix_locks::World world(seed, trace);
        world.run();
    });
}
