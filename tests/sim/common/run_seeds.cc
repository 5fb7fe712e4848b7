#include "tests/sim/common/run_seeds.hh"

#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/ensure.hh"
#include "base/probe.hh"

#ifndef CFS_COMMIT
#define CFS_COMMIT "unknown"
#endif

namespace sim {
namespace {

const char* running_name = "";
std::uint64_t running_seed = 0;

void print_seed() {
    std::fprintf(stderr, "%s: FAILED: --seeds 1 --from %llu (commit %s)\n", running_name,
                 static_cast<unsigned long long>(running_seed), CFS_COMMIT);
}

struct Options {
    std::uint64_t seeds = 100;
    std::uint64_t from = 1;
    std::uint64_t seconds = 0;  // 0: no limit
    bool trace = false;
    bool probes = false;
    bool good = true;
};

Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const auto number = [&](std::uint64_t& into) {
            char* end = nullptr;
            if (i + 1 < argc) into = std::strtoull(argv[++i], &end, 10);
            if (end == nullptr || *end != '\0') options.good = false;
        };
        if (std::strcmp(argv[i], "--seeds") == 0) {
            number(options.seeds);
        } else if (std::strcmp(argv[i], "--from") == 0) {
            number(options.from);
        } else if (std::strcmp(argv[i], "--seconds") == 0) {
            number(options.seconds);
        } else if (std::strcmp(argv[i], "--trace") == 0) {
            options.trace = true;
        } else if (std::strcmp(argv[i], "--probes") == 0) {
            options.probes = true;
        } else {
            options.good = false;
        }
    }
    return options;
}

void print_probes() {
    for (const auto* probe = base::Probe::first(); probe != nullptr; probe = probe->next()) {
        std::printf("probe %llu %s\n", static_cast<unsigned long long>(probe->count()), probe->name());
    }
}

}  // namespace

int run_seeds(const std::string& name, int argc, char** argv,
              const std::function<void(std::uint64_t seed, bool trace)>& simulate) {
    const auto options = parse(argc, argv);
    if (!options.good) {
        std::fprintf(stderr, "usage: %s [--seeds N] [--from S] [--seconds T] [--trace] [--probes]\n", name.c_str());
        return 2;
    }
    // Worlds are built and thrown away all the time: their memory is kept for the next one.
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 16 << 20);
    mallopt(M_MXFAST, 0);
    running_name = name.c_str();
    base::set_crash_reporter(print_seed);
    const auto start = std::chrono::steady_clock::now();
    std::uint64_t done = 0;
    for (; done < options.seeds; ++done) {
        const auto elapsed = std::chrono::steady_clock::now() - start;
        if (options.seconds != 0 && elapsed >= std::chrono::seconds(options.seconds)) break;
        running_seed = options.from + done;
        try {
            simulate(running_seed, options.trace);
        } catch (const std::exception& violation) {
            std::fprintf(stderr, "%s: seed %llu: %s\n", name.c_str(), static_cast<unsigned long long>(running_seed),
                         violation.what());
            print_seed();
            return 1;
        }
    }
    if (options.probes) print_probes();
    std::printf("%s: %llu seeds passed\n", name.c_str(), static_cast<unsigned long long>(done));
    return 0;
}

}  // namespace sim
