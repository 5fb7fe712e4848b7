// The same work again and again, and power fails after the first device write, after the second, … after the last:
// each time the next mount must replay to a state that the model knows, with everything in it that was promised to be
// durable.  crash_clusterfs WORKLOAD OPERATIONS [SEED [CUT]]
#include <cstdio>
#include <cstdlib>

#include "base/ensure.hh"
#include "tests/sim/clusterfs/world.hh"

namespace {

constexpr std::uint64_t lucks = 2;  // ways in which unflushed sectors may survive, for each cut
sim::WorldOptions current;

void print_current() {
    std::fprintf(stderr, "crash_clusterfs: FAILED: %s %llu %llu %llu (luck %llu)\n", current.workload.c_str(),
                 static_cast<unsigned long long>(current.operations), static_cast<unsigned long long>(current.seed),
                 static_cast<unsigned long long>(current.cut_after_writes),
                 static_cast<unsigned long long>(current.luck));
}

std::uint64_t run(bool trace) {
    current.trace = trace;
    sim::World world(current);
    world.run();
    return world.writes_of_work();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: crash_clusterfs bank|tree OPERATIONS [SEED [CUT]]\n");
        return 2;
    }
    base::set_crash_reporter(print_current);
    current.workload = argv[1];
    current.operations = std::strtoull(argv[2], nullptr, 10);
    current.seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
    current.one_node = true;
    const auto only = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 0;
    try {
        const auto all = run(false);
        std::uint64_t cuts = 0;
        for (std::uint64_t cut = only != 0 ? only : 1; cut <= (only != 0 ? only : all); ++cut) {
            for (current.luck = 0; current.luck < lucks; ++current.luck, ++cuts) {
                current.cut_after_writes = cut;
                run(only != 0);
            }
        }
        std::printf("crash_clusterfs: %llu cuts of %llu writes passed\n", static_cast<unsigned long long>(cuts),
                    static_cast<unsigned long long>(all));
    } catch (const std::exception& violation) {
        std::fprintf(stderr, "crash_clusterfs: %s\n", violation.what());
        print_current();
        return 1;
    }
    return 0;
}
