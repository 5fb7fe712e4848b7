#include "dlm/format/types.hh"

namespace dlm {

std::string_view text_of(Mode mode) {
    constexpr std::array<std::string_view, mode_count> texts{"NL", "CR", "CW", "PR", "PW", "EX"};
    return texts[static_cast<std::size_t>(mode)];
}

std::string_view text_of(Outcome outcome) {
    constexpr std::array<std::string_view, outcome_count> texts{"granted", "would block", "deadlock", "cancelled",
                                                                "invalid"};
    return texts[static_cast<std::size_t>(outcome)];
}

}  // namespace dlm
