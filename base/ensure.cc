#include "base/ensure.hh"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace base {
namespace {
std::atomic<CrashReporter> crash_reporter{nullptr};
}

void set_crash_reporter(CrashReporter reporter) { crash_reporter = reporter; }

void ensure_failed(std::string_view what, std::source_location where) {
    std::fprintf(stderr, "invariant broken: %.*s (%s:%u, %s)\n", static_cast<int>(what.size()), what.data(),
                 where.file_name(), static_cast<unsigned>(where.line()), where.function_name());
    // Taken out first, so that an ensure() that fails inside the reporter cannot call it again.
    if (auto reporter = crash_reporter.exchange(nullptr)) reporter();
    std::abort();
}

}  // namespace base
