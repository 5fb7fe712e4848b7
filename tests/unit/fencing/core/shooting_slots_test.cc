// The turns of a split pair: never both at once, every victim's turn comes.
#include "fencing/core/shooting_slots.hh"

#include <gtest/gtest.h>

namespace fencing {
namespace {

using base::Duration;
using base::Instant;

Settings pair(Duration a, Duration b) {
    Settings settings;
    settings.nodes[{1}] = {"a", a, {{"bmc-a"}}};
    settings.nodes[{2}] = {"b", b, {{"bmc-b"}}};
    return settings;
}
constexpr Instant split{5'000'000'000};
Instant after(std::int64_t milliseconds) { return split + Duration::milliseconds(milliseconds); }

TEST(ShootingSlots, AsDrawn) {
    const ShootingSlots slots(pair(Duration::seconds(2), {}));
    const struct {
        std::uint32_t victim;
        std::int64_t earliest, expected;
    } rows[] = {{2, 0, 0},       {2, 499, 499},   {2, 500, 4000},  {2, 3999, 4000}, {2, 4100, 4100}, {1, 0, 2000},
                {1, 1999, 2000}, {1, 2499, 2499}, {1, 2500, 6000}, {1, 0, 2000},    {2, -700, 0}};
    for (const auto& row : rows) {
        EXPECT_EQ(slots.next({row.victim}, split, after(row.earliest)), after(row.expected))
            << row.victim << " from " << row.earliest;
    }
}

TEST(ShootingSlots, TheTwoNeverMeet) {
    for (const auto& delays : {std::pair(2000, 0), std::pair(0, 2000), std::pair(7000, 1500)}) {
        const ShootingSlots slots(pair(Duration::milliseconds(delays.first), Duration::milliseconds(delays.second)));
        const auto gap = std::abs(delays.first - delays.second);
        std::int64_t last_a = -1'000'000;
        std::int64_t last_b = -1'000'000;
        for (std::int64_t at = 0; at < 60'000; at += 10) {
            if (slots.may_begin({1}, split, after(at))) last_a = at;
            if (slots.may_begin({2}, split, after(at))) last_b = at;
            if (last_a == at || last_b == at) {
                EXPECT_GE(std::abs(last_a - last_b), gap / 2) << at;
            }
        }
        EXPECT_GT(last_a, 40'000);
        EXPECT_GT(last_b, 40'000);
    }
}

TEST(ShootingSlots, OnlyForPairsWithDifferentDelays) {
    EXPECT_FALSE(ShootingSlots(pair({}, {})).exist());
    auto three = pair(Duration::seconds(2), {});
    three.nodes[{3}] = {"c", {}, {}};
    const ShootingSlots slots(three);
    EXPECT_FALSE(slots.exist());
    EXPECT_EQ(slots.next({1}, split, after(3)), after(3));
    EXPECT_TRUE(slots.may_begin({1}, split, after(3)));
}

}  // namespace
}  // namespace fencing
