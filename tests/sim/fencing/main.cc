// sim_fencing: worlds of two or three nodes, each with minutes of trouble and then calm, in which everything that was
// asked for must be answered. A failure prints the seed and the last events.
#include <cstdio>

#include "tests/sim/common/run_seeds.hh"
#include "tests/sim/fencing/environment.hh"

namespace {

sim_fencing::World::Counts run(std::uint64_t seed, bool verbose) {
    sim_fencing::World world(seed, verbose);
    sim_fencing::Environment environment(world);
    environment.start();
    auto& scheduler = world.scheduler();
    scheduler.run_until(scheduler.now() + base::Duration::seconds(240));
    environment.calm_down();
    scheduler.run_until(scheduler.now() + base::Duration::seconds(240));
    world.check_all_answered();
    world.check_all_agree();
    return world.counts();
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t shots = 0;
    std::uint64_t reports = 0;
    const int status = sim::run_seeds("sim_fencing", argc, argv, [&](std::uint64_t seed, bool trace) {
        const auto counts = run(seed, trace);
        shots += counts.shots;
        reports += counts.reports;
    });
    std::printf("sim_fencing: %llu machines shot, %llu deaths reported\n", static_cast<unsigned long long>(shots),
                static_cast<unsigned long long>(reports));
    return status;
}
