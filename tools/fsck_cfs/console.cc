#include "tools/fsck_cfs/console.hh"

#include <cstdio>

namespace fsck_cfs {

using clusterfs::checking::Severity;

bool Console::ask() {
    if (yes_to_all_) return true;
    while (true) {
        std::printf("  Repair? (y)es, (n)o, yes to (a)ll: ");
        std::fflush(stdout);
        char line[64];
        if (std::fgets(line, sizeof line, stdin) == nullptr) return false;
        if (line[0] == 'a') yes_to_all_ = true;
        if (line[0] == 'y' || line[0] == 'a') return true;
        if (line[0] == 'n') return false;
    }
}

bool Console::wants_repair(const clusterfs::checking::ProblemRow& row) {
    if (mode_ == Mode::look || row.severity == Severity::hopeless) return false;
    if (mode_ == Mode::yes || row.severity == Severity::note) return true;
    if (mode_ == Mode::ask) return ask();
    if (row.severity == Severity::loss) needs_a_person_ = true;
    return !needs_a_person_;
}

bool Console::decide(const clusterfs::checking::ProblemRow& row, const std::string& detail) {
    std::printf("[%u] %s: %s\n", static_cast<unsigned>(row.problem), row.message, detail.c_str());
    const bool repair = wants_repair(row);
    if (mode_ != Mode::look) std::printf("  %s\n", repair ? row.repair : "left as it is");
    return repair;
}

void Console::entering(const std::string& pass) const {
    if (!verbose_) return;
    std::printf("Checking %s\n", pass.c_str());
    std::fflush(stdout);
}

}  // namespace fsck_cfs
