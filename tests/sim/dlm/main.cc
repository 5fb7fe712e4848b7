// sim_dlm [--seeds N] [--from S] [--seconds T] [--trace]: lockspaces under a virtual clock; each seed is another story
// of crashes, cuts, resets, slow fences, joins and leaves, and ends in calm, where every request must have been
// answered.
#include "tests/sim/common/run_seeds.hh"
#include "tests/sim/dlm/world.hh"

int main(int argc, char** argv) {
    return sim::run_seeds("sim_dlm", argc, argv, [](std::uint64_t seed, bool trace) {
        sim_dlm::World world(seed, trace);
        world.run();
    });
}
