// Two mounts on one device, crashes at any step: every answer equals the model's, what was promised to be durable is
// there, and nobody's kernel keeps what another node has changed.
#include <cstdlib>

#include "tests/sim/clusterfs/world.hh"
#include "tests/sim/common/run_seeds.hh"

int main(int argc, char** argv) {
    const char* workload = std::getenv("SIM_CLUSTERFS_WORKLOAD");  // "bank" or "tree"; by seed otherwise
    return sim::run_seeds("sim_clusterfs", argc, argv, [&](std::uint64_t seed, bool trace) {
        sim::WorldOptions options;
        options.seed = seed;
        options.trace = trace;
        if (workload != nullptr) options.workload = workload;
        sim::World(options).run();
    });
}
