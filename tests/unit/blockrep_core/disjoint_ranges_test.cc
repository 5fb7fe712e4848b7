#include "blockrep/core/disjoint_ranges.hh"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace blockrep {
namespace {

TEST(DisjointRanges, TouchingIsNotOverlapping) {
    DisjointRanges ranges;
    ranges.insert({4096, 4096});
    EXPECT_FALSE(ranges.overlap({0, 4096}));
    EXPECT_FALSE(ranges.overlap({8192, 4096}));
    EXPECT_TRUE(ranges.overlap({0, 4608}));
    EXPECT_TRUE(ranges.overlap({7680, 4096}));
    EXPECT_TRUE(ranges.overlap({0, 65536}));
    EXPECT_TRUE(ranges.overlap({5120, 512}));
    ranges.erase({4096, 4096});
    EXPECT_FALSE(ranges.overlap({0, 65536}));
}

TEST(DisjointRanges, AreFoundAsByLookingAtEach) {
    std::mt19937 random(1);
    const auto any = [&] { return Range{random() % 200 * 512, (1 + random() % 12) * 512}; };
    DisjointRanges ranges;
    std::set<Range> model;
    for (int i = 0; i < 20000; ++i) {
        const auto range = any();
        const bool expected = std::ranges::any_of(model, [&](const auto& other) { return other.overlaps(range); });
        ASSERT_EQ(ranges.overlap(range), expected);
        if (!expected && model.size() < 20) {
            ranges.insert(range);
            model.insert(range);
        } else if (!model.empty()) {
            ranges.erase(*model.begin());
            model.erase(model.begin());
        }
        ASSERT_EQ(ranges.size(), model.size());
    }
}

}  // namespace
}  // namespace blockrep
