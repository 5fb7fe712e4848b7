#include "tests/sim/common/run_seeds.hh"
#include "tests/sim/whole/world.hh"

int main(int argc, char** argv) {
    return sim::run_seeds("sim_whole", argc, argv, [](std::uint64_t seed, bool trace) {
        sim_whole::World world(seed, trace);
        world.run();
    });
}
