// Runs one simulation for many seeds: the main() of every simulator.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

namespace sim {

// What a checker throws: a promise was broken.
struct Violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// --seeds N --from S --seconds T: seeds S to S+N-1, or as many as T seconds allow. `verbose`: --trace, for one seed.
// `--probes` prints how often each probe of the cores (base/probe.hh) was met. Prints the failing seed and commit; the exit status is 1 then, 2 for wrong options.
int run_seeds(const std::string& name, int argc, char** argv,
              const std::function<void(std::uint64_t seed, bool trace)>& simulate);

}  // namespace sim
