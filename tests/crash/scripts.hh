// The histories that are cut at every write.
#pragma once

#include <string>
#include <vector>

#include "tests/crash/scripted_mount.hh"

namespace crash {

struct Script {
    std::string name;
    void (*prepare)(ScriptedMount& mount);  // before the record begins
    int rounds;
    void (*run)(ScriptedMount& mount, int round);
};

const std::vector<Script>& all_scripts();

}  // namespace crash
