// What can be wrong with a configuration. The Error's detail starts with "file:line: ".
#pragma once

#include <cstdint>
#include <string>
#include <system_error>

#include "base/error.hh"

namespace blockrep::config {

enum class ConfigErrc {
    unreadable = 1,  // a file that is named cannot be read
    syntax,          // braces, semicolons, quotes
    unknown,         // a keyword that does not exist in its section
    bad_value,       // a value that is no number, out of range, or not one of the choices
    missing,         // something that must stand there does not
    conflict,        // two statements that exclude each other
    unsupported,     // legal in drbd.conf, not offered here
};

const std::error_category& config_category();
inline std::error_code make_error_code(ConfigErrc code) { return {static_cast<int>(code), config_category()}; }

// Where a token stands.
struct Position {
    std::string file;
    std::uint32_t line = 1;
    std::string text() const { return file + ":" + std::to_string(line); }
};

inline std::unexpected<base::Error> config_failure(ConfigErrc code, const Position& at, const std::string& what) {
    return base::failure(make_error_code(code), at.text() + ": " + what);
}

}  // namespace blockrep::config

template <>
struct std::is_error_code_enum<blockrep::config::ConfigErrc> : std::true_type {};
