// sim_fencing [--seeds N] [--from S] [--seconds T] [--verbose]: N worlds of two or three nodes, each with T seconds of
// trouble and then calm, in which everything that was asked for must be answered. A failure prints the seed and the
// last events; exit status 1.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/sim/fencing/environment.hh"

namespace {

struct Options {
    std::uint64_t seeds = 100;
    std::uint64_t from = 1;
    std::int64_t seconds = 240;
    bool verbose = false;
};

bool parse(int count, char** arguments, Options& options) {
    for (int i = 1; i < count; ++i) {
        const auto is = [&](const char* name) { return std::strcmp(arguments[i], name) == 0; };
        if (is("--verbose")) {
            options.verbose = true;
        } else if (i + 1 == count) {
            return false;
        } else if (is("--seeds")) {
            options.seeds = std::strtoull(arguments[++i], nullptr, 10);
        } else if (is("--from")) {
            options.from = std::strtoull(arguments[++i], nullptr, 10);
        } else if (is("--seconds")) {
            options.seconds = std::strtoll(arguments[++i], nullptr, 10);
        } else {
            return false;
        }
    }
    return true;
}

sim_fencing::World::Counts run(std::uint64_t seed, const Options& options) {
    sim_fencing::World world(seed, options.verbose);
    sim_fencing::Environment environment(world);
    environment.start();
    auto& scheduler = world.scheduler();
    scheduler.run_until(scheduler.now() + base::Duration::seconds(options.seconds));
    environment.calm_down();
    scheduler.run_until(scheduler.now() + base::Duration::seconds(240));
    world.check_all_answered();
    world.check_all_agree();
    return world.counts();
}

}  // namespace

int main(int count, char** arguments) {
    Options options;
    if (!parse(count, arguments, options)) {
        std::fprintf(stderr, "usage: sim_fencing [--seeds N] [--from S] [--seconds T] [--verbose]\n");
        return 2;
    }
    std::uint64_t shots = 0;
    std::uint64_t reports = 0;
    for (std::uint64_t seed = options.from; seed < options.from + options.seeds; ++seed) {
        const auto counts = run(seed, options);
        shots += counts.shots;
        reports += counts.reports;
    }
    std::printf("%llu seeds from %llu: %llu machines shot, %llu deaths reported, nothing wrong\n",
                static_cast<unsigned long long>(options.seeds), static_cast<unsigned long long>(options.from),
                static_cast<unsigned long long>(shots), static_cast<unsigned long long>(reports));
    return shots == 0 ? 1 : 0;
}
