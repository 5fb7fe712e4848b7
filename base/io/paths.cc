#include "base/io/paths.hh"

#include <cstdlib>

namespace base {
namespace {

std::string join(const char* variable, const char* standard, std::string_view below) {
    const char* chosen = std::getenv(variable);
    std::string path = chosen != nullptr && *chosen != '\0' ? chosen : standard;
    path += '/';
    path += below;
    return path;
}

}  // namespace

std::string run_path(std::string_view below) { return join("CFS_RUN_DIR", "/run", below); }

std::string etc_path(std::string_view below) { return join("CFS_ETC_DIR", "/etc", below); }

}  // namespace base
