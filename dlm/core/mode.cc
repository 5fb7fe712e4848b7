#include "dlm/core/mode.hh"

namespace dlm {
namespace {

constexpr std::size_t index(Mode mode) { return static_cast<std::size_t>(mode); }

constexpr bool table[mode_count][mode_count] = {
    //          NL     CR     CW     PR     PW     EX
    /* NL */ {true, true, true, true, true, true},
    /* CR */ {true, true, true, true, true, false},
    /* CW */ {true, true, true, false, false, false},
    /* PR */ {true, true, false, true, false, false},
    /* PW */ {true, true, false, false, false, false},
    /* EX */ {true, false, false, false, false, false},
};

constexpr auto N = ValueTransfer::none;
constexpr auto R = ValueTransfer::read;
constexpr auto W = ValueTransfer::write;

// Row: from (last: new). Column: to (last: unlocked).
constexpr ValueTransfer transfers[mode_count + 1][mode_count + 1] = {
    //        NL CR CW PR PW EX unlock
    /* NL  */ {R, R, R, R, R, R, N},
    /* CR  */ {N, R, R, R, R, R, N},
    /* CW  */ {N, N, R, R, R, R, N},
    /* PR  */ {N, N, N, R, R, R, N},
    /* PW  */ {W, W, W, W, W, R, W},
    /* EX  */ {W, W, W, W, W, W, W},
    /* new */ {R, R, R, R, R, R, N},
};

}  // namespace

bool compatible(Mode a, Mode b) { return table[index(a)][index(b)]; }

bool is_lower_or_equal(Mode from, Mode to) {
    for (const Mode other : all_modes) {
        if (compatible(from, other) && !compatible(to, other)) return false;
    }
    return true;
}

Mode common_mode(Mode a, Mode b) {
    if (is_lower_or_equal(a, b)) return b;
    if (is_lower_or_equal(b, a)) return a;
    return Mode::CR;  // PR and CW
}

Mode assured_mode(Mode granted, Mode requested, Flags flags) {
    if (is_lower_or_equal(granted, requested)) return requested;  // nobody can bar it
    if (flags.has(Flag::demote_on_deadlock)) return Mode::NL;
    Mode assured = common_mode(granted, requested);
    if (flags.has(Flag::alternate_pr)) assured = common_mode(assured, Mode::PR);
    if (flags.has(Flag::alternate_cw)) assured = common_mode(assured, Mode::CW);
    return assured;
}

ValueTransfer value_transfer(std::optional<Mode> from, std::optional<Mode> to) {
    return transfers[from ? index(*from) : mode_count][to ? index(*to) : mode_count];
}

}  // namespace dlm
