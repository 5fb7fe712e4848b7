#include "dlm/core/mode.hh"

#include <gtest/gtest.h>

namespace dlm {
namespace {

constexpr auto N = ValueTransfer::none;
constexpr auto R = ValueTransfer::read;
constexpr auto W = ValueTransfer::write;

// "CR bars EX; CW bars PR PW EX; PR bars CW PW EX; PW bars CW PR PW EX; EX meets only NL."
TEST(Mode, CompatibilityOfAllPairs) {
    const auto bars = [](Mode held) -> std::vector<Mode> {
        switch (held) {
            case Mode::NL:
                return {};
            case Mode::CR:
                return {Mode::EX};
            case Mode::CW:
                return {Mode::PR, Mode::PW, Mode::EX};
            case Mode::PR:
                return {Mode::CW, Mode::PW, Mode::EX};
            case Mode::PW:
                return {Mode::CW, Mode::PR, Mode::PW, Mode::EX};
            case Mode::EX:
                return {Mode::CR, Mode::CW, Mode::PR, Mode::PW, Mode::EX};
        }
        return {};
    };
    for (const Mode a : all_modes) {
        for (const Mode b : all_modes) {
            const auto barred = bars(a);
            const bool expected = std::find(barred.begin(), barred.end(), b) == barred.end();
            EXPECT_EQ(compatible(a, b), expected) << text_of(a) << " " << text_of(b);
            EXPECT_EQ(compatible(a, b), compatible(b, a));
        }
    }
}

TEST(Mode, LowerMeansNobodyCanBeHurt) {
    const bool expected[mode_count][mode_count] = {
        // to NL CR CW PR PW EX
        {true, false, false, false, false, false},  // NL
        {true, true, false, false, false, false},   // CR
        {true, true, true, false, false, false},    // CW
        {true, true, false, true, false, false},    // PR
        {true, true, true, true, true, false},      // PW
        {true, true, true, true, true, true},       // EX
    };
    for (std::size_t from = 0; from < mode_count; ++from) {
        for (std::size_t to = 0; to < mode_count; ++to) {
            EXPECT_EQ(is_lower_or_equal(all_modes[from], all_modes[to]), expected[from][to]) << from << " " << to;
        }
    }
}

TEST(Mode, WritersAndWhatExcludesThem) {
    for (const Mode held : all_modes) {
        bool meets_writer = false;
        for (const Mode other : all_modes) meets_writer |= may_write(other) && compatible(held, other);
        EXPECT_EQ(excludes_writers(held), !meets_writer) << text_of(held);
    }
}

TEST(Mode, ValueTransferOfAllPairs) {
    const ValueTransfer expected[7][7] = {
        {R, R, R, R, R, R, N}, {N, R, R, R, R, R, N}, {N, N, R, R, R, R, N}, {N, N, N, R, R, R, N},
        {W, W, W, W, W, R, W}, {W, W, W, W, W, W, W}, {R, R, R, R, R, R, N},
    };
    const auto mode = [](std::size_t i) { return i < mode_count ? std::optional(all_modes[i]) : std::nullopt; };
    for (std::size_t from = 0; from < 7; ++from) {
        for (std::size_t to = 0; to < 7; ++to) {
            EXPECT_EQ(value_transfer(mode(from), mode(to)), expected[from][to]) << from << " " << to;
        }
    }
}

// A write may be done without asking the master only because a writing transfer is always a lower mode.
TEST(Mode, WritesAreAlwaysLowerModes) {
    for (const Mode from : all_modes) {
        for (const Mode to : all_modes) {
            if (value_transfer(from, to) != W) continue;
            EXPECT_TRUE(is_lower_or_equal(from, to));
        }
    }
}

TEST(Mode, CommonModeIsTheGreatestLowerOne) {
    for (const Mode a : all_modes) {
        for (const Mode b : all_modes) {
            const Mode common = common_mode(a, b);
            EXPECT_TRUE(is_lower_or_equal(a, common) && is_lower_or_equal(b, common));
            for (const Mode other : all_modes) {
                if (!is_lower_or_equal(a, other) || !is_lower_or_equal(b, other)) continue;
                EXPECT_TRUE(is_lower_or_equal(common, other)) << text_of(a) << text_of(b) << text_of(other);
            }
        }
    }
}

// Whatever the master grants for a conversion, what the owner counts on meanwhile is part of it.
TEST(Mode, AssuredModeIsPartOfEveryOutcome) {
    for (const Mode granted : all_modes) {
        for (const Mode asked : all_modes) {
            EXPECT_TRUE(is_lower_or_equal(granted, assured_mode(granted, asked, {})));
            EXPECT_TRUE(is_lower_or_equal(asked, assured_mode(granted, asked, {})));
            if (is_lower_or_equal(granted, asked)) {
                EXPECT_EQ(assured_mode(granted, asked, Flag::demote_on_deadlock | Flag::alternate_cw), asked);
            } else {
                EXPECT_EQ(assured_mode(granted, asked, Flag::demote_on_deadlock), Mode::NL);
                EXPECT_TRUE(is_lower_or_equal(Mode::PR, assured_mode(granted, asked, Flag::alternate_pr)));
                EXPECT_TRUE(is_lower_or_equal(Mode::CW, assured_mode(granted, asked, Flag::alternate_cw)));
            }
        }
    }
}

}  // namespace
}  // namespace dlm
