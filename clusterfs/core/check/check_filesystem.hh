// fsck: finds and repairs what is wrong with a filesystem that nobody has mounted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.hh"
#include "base/time.hh"
#include "clusterfs/core/check/problem.hh"
#include "clusterfs/core/whole_device.hh"

namespace clusterfs::checking {

struct CheckOptions {
    // Nothing is written; journals are replayed in memory only, so that the state after a replay is what is checked.
    bool read_only = false;
    // Asked for every problem that can be repaired: shall it be? Not asked with read_only, where it is only told.
    std::function<bool(const ProblemRow& row, const std::string& detail)> decide;
    std::function<void(const std::string& pass)> entering;  // may be empty
    base::WallTime now;
};

struct CheckReport {
    std::uint64_t notes = 0;
    std::uint64_t found = 0;     // problems, without notes
    std::uint64_t repaired = 0;  // of them
    std::uint64_t directories = 0;
    std::uint64_t files = 0;  // all that are no directories
    std::uint64_t blocks = 0;
    std::uint64_t used_blocks = 0;
    std::vector<std::string> failed_repairs;  // what could not be done after all; counted as left
    std::uint64_t left() const { return found - repaired + failed_repairs.size(); }
};

// An error means that the check could not be done: no superblock, unknown features, the device failed.
[[nodiscard]] base::Result<CheckReport> check_filesystem(SynchronousDevice& device, const CheckOptions& options);

}  // namespace clusterfs::checking
