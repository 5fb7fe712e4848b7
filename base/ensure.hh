// Invariants, always on: a broken one dumps the flight recorder and aborts, and the peer fences the node.
#pragma once

#include <source_location>
#include <string_view>

namespace base {

// Called once, after the message is on stderr and before abort(); writes what helps to find the cause.
// May be called on any thread; must not throw. Null (the default) writes nothing.
using CrashReporter = void (*)();
void set_crash_reporter(CrashReporter reporter);

[[noreturn]] void ensure_failed(std::string_view what, std::source_location where);

inline void ensure(bool holds, std::string_view what, std::source_location where = std::source_location::current()) {
    if (!holds) [[unlikely]]
        ensure_failed(what, where);
}

}  // namespace base
