// Log lines of daemons. Written by a thread of its own: logging never blocks an I/O thread; when the queue is full the
// oldest lines are lost.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace base {

enum class LogLevel { debug, info, warning, error };

// Until it is called, lines of level info and above go to stderr. `path` empty: stderr (journald picks it up).
void open_log(const std::string& program, const std::string& path, LogLevel least);
// Writes out what is queued; call before exit.
void close_log();

void log_line(LogLevel level, std::string_view line);

template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
    log_line(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
    log_line(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
    log_line(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
    log_line(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace base
