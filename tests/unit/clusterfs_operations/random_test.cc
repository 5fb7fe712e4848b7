// Thousands of operations by seed, on two nodes that take each other's locks.
#include <gtest/gtest.h>

#include "tests/unit/clusterfs_operations/random_run.hh"

namespace clusterfs::test {
namespace {

class RandomTest : public ::testing::TestWithParam<std::uint64_t> {
  protected:
    static void run(RandomRun& random, int steps) {
        for (int i = 0; i < steps && !HasFailure(); ++i) {
            random.step();
            if (i % 500 == 499) random.compare_all();
        }
        if (!HasFailure()) random.compare_all();
        if (!HasFailure()) random.remove_all();
    }
};

TEST_P(RandomTest, AgreesWithTheModel) {
    RandomRun random(GetParam(), {});
    run(random, 3000);
}

TEST_P(RandomTest, LargeDirectories) {
    RandomRun random(GetParam() + 1000, {.names = 2000, .largest = 9000});
    run(random, 3000);
}

TEST_P(RandomTest, LargeFiles) {
    RandomRun random(GetParam() + 2000, {.names = 4, .largest = 3'000'000});
    run(random, 600);
}

TEST_P(RandomTest, AFullDevice) {
    RandomRun random(GetParam() + 3000, {.blocks = 4096, .largest = 1'500'000, .may_fill = true});
    run(random, 1500);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomTest, ::testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace clusterfs::test
