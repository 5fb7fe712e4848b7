#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <map>

#include "tests/bench/probe/steps.hh"

namespace bench {
namespace {

using Paths = std::vector<std::string>;

void create(const Paths& paths, std::size_t bytes) {
    const std::string content(bytes, 'x');
    for (const auto& path : paths) {
        const int file = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
        if (file < 0 || ::write(file, content.data(), bytes) != static_cast<ssize_t>(bytes)) fail(path);
        ::close(file);
    }
}

void stat(const Paths& paths) {
    struct stat status {};
    for (const auto& path : paths) {
        if (::stat(path.c_str(), &status) != 0) fail(path);
    }
}

void open_read(const Paths& paths, std::size_t bytes) {
    std::string content(bytes, 0);
    for (const auto& path : paths) {
        const int file = ::open(path.c_str(), O_RDONLY);
        if (file < 0 || ::read(file, content.data(), bytes) != static_cast<ssize_t>(bytes)) fail(path);
        ::close(file);
    }
}

void list(const std::string& folder, std::size_t count) {
    auto* entries = ::opendir(folder.c_str());
    if (entries == nullptr) fail(folder);
    std::size_t seen = 0;
    while (::readdir(entries) != nullptr) ++seen;
    ::closedir(entries);
    if (seen != count + 2) fail(folder + ": listing");
}

void remove(const Paths& paths) {
    for (const auto& path : paths) {
        if (::unlink(path.c_str()) != 0) fail(path);
    }
}

}  // namespace

Seconds small_files(const std::string& folder, std::size_t count, std::size_t bytes,
                    const std::vector<std::string>& names) {
    Paths paths;
    for (std::size_t i = 0; i < count; ++i) paths.push_back(folder + "/file-" + std::to_string(i));
    const std::map<std::string, std::function<void()>> steps = {{"create", [&] { create(paths, bytes); }},
                                                                {"stat", [&] { stat(paths); }},
                                                                {"open_read", [&] { open_read(paths, bytes); }},
                                                                {"list", [&] { list(folder, count); }},
                                                                {"delete", [&] { remove(paths); }}};
    Seconds result;
    for (const auto& name : names) {
        const auto step = steps.find(name.substr(0, name.find('-')));
        if (step == steps.end()) fail("no step " + name);
        const auto begin = now();
        step->second();
        result.emplace_back(name, now() - begin);
    }
    return result;
}

}  // namespace bench
