#include <fcntl.h>
#include <unistd.h>

#include "tests/bench/probe/steps.hh"

namespace bench {
namespace {

constexpr std::size_t piece = 1024 * 1024;

void write(const std::string& path, std::size_t pieces) {
    const std::string content(piece, 'x');
    const int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (file < 0) fail(path);
    for (std::size_t i = 0; i < pieces; ++i) {
        if (::write(file, content.data(), piece) != static_cast<ssize_t>(piece)) fail(path);
    }
    if (::fsync(file) != 0) fail(path);
    ::close(file);
}

void read(const std::string& path, std::size_t pieces) {
    std::string content(piece, 0);
    const int file = ::open(path.c_str(), O_RDONLY);
    if (file < 0) fail(path);
    for (std::size_t left = pieces * piece; left > 0;) {
        const auto got = ::read(file, content.data(), piece);
        if (got <= 0) fail(path);
        left -= static_cast<std::size_t>(got);
    }
    ::close(file);
}

}  // namespace

Seconds stream(const std::string& path, std::size_t mebibytes, const std::vector<std::string>& names) {
    Seconds result;
    for (const auto& name : names) {
        const auto begin = now();
        name.starts_with("write") ? write(path, mebibytes) : read(path, mebibytes);
        result.emplace_back(name, now() - begin);
    }
    return result;
}

}  // namespace bench
