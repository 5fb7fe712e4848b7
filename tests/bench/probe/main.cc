// bench_probe files FOLDER COUNT BYTES STEP… | stream PATH MEBIBYTES STEP…
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/bench/probe/steps.hh"

namespace bench {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void fail(const std::string& what) {
    std::fprintf(stderr, "bench_probe: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

}  // namespace bench

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    const auto rest = [&words](std::size_t from) {
        return std::vector<std::string>(words.begin() + static_cast<std::ptrdiff_t>(from), words.end());
    };
    bench::Seconds seconds;
    if (words.size() > 4 && words[0] == "files") {
        seconds = bench::small_files(words[1], std::stoul(words[2]), std::stoul(words[3]), rest(4));
    } else if (words.size() > 3 && words[0] == "stream") {
        seconds = bench::stream(words[1], std::stoul(words[2]), rest(3));
    } else {
        std::fputs("usage: bench_probe files FOLDER COUNT BYTES STEP... | stream PATH MEBIBYTES STEP...\n", stderr);
        return 2;
    }
    const char* separator = "{";
    for (const auto& [name, taken] : seconds) {
        std::printf("%s\"%s\": %.9f", separator, name.c_str(), taken);
        separator = ", ";
    }
    std::puts("}");
    return 0;
}
