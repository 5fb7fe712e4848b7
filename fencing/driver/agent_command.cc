// Which program an agent is, and what it is told.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "base/io/secret_file.hh"
#include "fencing/driver/agent_runner.hh"
#include "fencing/format/error.hh"

namespace fencing {
namespace {

std::string own_directory() {
    std::error_code ec;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", ec);
    return ec ? std::string() : program.parent_path().string();
}

std::string base_name(const std::string& agent) { return agent.substr(agent.find_last_of('/') + 1); }

}  // namespace

base::Result<std::string> find_agent(const std::string& agent) {
    if (agent.find('/') != std::string::npos) {
        if (::access(agent.c_str(), X_OK) == 0) return agent;
        return base::failure(Errc::agent_missing, agent);
    }
    const char* chosen = std::getenv("CFS_AGENT_DIR");
    for (const auto& directory :
         {own_directory(), std::string(chosen != nullptr ? chosen : ""), std::string("/usr/sbin")}) {
        const auto path = directory + "/" + agent;
        if (!directory.empty() && ::access(path.c_str(), X_OK) == 0) return path;
    }
    return base::failure(Errc::agent_missing,
                         agent + " (looked next to this program, in $CFS_AGENT_DIR, in /usr/sbin)");
}

base::Result<std::string> agent_input(const Device& device, const std::string& action, const std::string& victim) {
    std::string out = "action=" + action + "\n";
    const bool own_agent = base_name(device.agent).starts_with("fence_cfs_");
    for (const auto& [key, value] : device.options) {
        if (key == "password_file" && !own_agent) {
            BASE_ASSIGN(const auto secret, base::read_secret(value));
            out += "password=" + secret + "\n";
        } else {
            out += key + "=" + value + "\n";
        }
    }
    if (own_agent) out += "nodename=" + victim + "\n";
    return out;
}

}  // namespace fencing
