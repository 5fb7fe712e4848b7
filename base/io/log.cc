#include "base/io/log.hh"

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace base {
namespace {

constexpr std::size_t queue_lines = 8192;

spdlog::level::level_enum to_spdlog(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
    }
    return spdlog::level::info;
}

std::shared_ptr<spdlog::logger>& logger() {
    static std::shared_ptr<spdlog::logger> instance = spdlog::stderr_logger_mt("cfs");
    return instance;
}

}  // namespace

void open_log(const std::string& program, const std::string& path, LogLevel least) {
    spdlog::init_thread_pool(queue_lines, 1);
    spdlog::sink_ptr sink;
    if (path.empty()) {
        sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
        sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
    }
    logger() = std::make_shared<spdlog::async_logger>(program, sink, spdlog::thread_pool(),
                                                      spdlog::async_overflow_policy::overrun_oldest);
    logger()->set_level(to_spdlog(least));
    logger()->set_pattern("%Y-%m-%dT%H:%M:%S.%e %n[%P] %l: %v");
    logger()->flush_on(spdlog::level::info);
}

void close_log() {
    logger()->flush();
    logger() = spdlog::stderr_logger_mt("cfs-end");
    spdlog::shutdown();
}

void log_line(LogLevel level, std::string_view line) {
    logger()->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace base
