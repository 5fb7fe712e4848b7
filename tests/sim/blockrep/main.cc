#include "tests/sim/blockrep/world.hh"

int main(int argc, char** argv) {
    return sim::run_seeds("sim_blockrep", argc, argv, [](std::uint64_t seed, bool trace) {
        sim::World world(seed, trace);
        world.run();
    });
}
