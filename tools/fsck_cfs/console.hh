// What the check tells, and whom it asks.
#pragma once

#include <string>

#include "clusterfs/core/check/check_filesystem.hh"

namespace fsck_cfs {

enum class Mode {
    look,   // -n
    preen,  // -p: what is safe
    yes,    // -y
    ask     // on a terminal
};

class Console {
  public:
    Console(Mode mode, bool verbose) : mode_(mode), verbose_(verbose) {}

    bool decide(const clusterfs::checking::ProblemRow& row, const std::string& detail);
    void entering(const std::string& pass) const;
    // Under -p something was met that needs a person.
    bool needs_a_person() const { return needs_a_person_; }

  private:
    bool wants_repair(const clusterfs::checking::ProblemRow& row);
    bool ask();

    Mode mode_;
    bool verbose_;
    bool yes_to_all_ = false;
    bool needs_a_person_ = false;
};

}  // namespace fsck_cfs
