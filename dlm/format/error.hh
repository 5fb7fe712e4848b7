// The ways in which bytes from another member can be wrong.
#pragma once

#include <system_error>

namespace dlm {

enum class Errc {
    bad_magic = 1,
    bad_version,
    bad_type,
    bad_length,  // ends early, or too long
    bad_field,   // a value out of its range
};

const std::error_category& error_category();
inline std::error_code make_error_code(Errc code) { return {static_cast<int>(code), error_category()}; }

}  // namespace dlm

template <>
struct std::is_error_code_enum<dlm::Errc> : std::true_type {};
