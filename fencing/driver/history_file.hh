// The history on this machine's disk: one line for each entry, written by a thread of its own, so that a slow disk
// delays no fence. A machine that starts alone knows from it which lives are over.
#pragma once

#include <boost/json/fwd.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hh"
#include "fencing/format/history_entry.hh"

namespace fencing {

std::string history_path();  // <state>/cfs/fence-history; $CFS_STATE_DIR or /var/lib

// One line without its newline: checksum, space, JSON.
std::string history_line(const HistoryEntry& entry);
// Nothing when the line was damaged or cut.
std::optional<HistoryEntry> parse_history_line(std::string_view line);

struct PastHistory {
    std::vector<HistoryEntry> entries;
    std::size_t damaged = 0;  // lines that were skipped
};

class HistoryFile {
  public:
    // Reads what is there, keeps the last entries, makes the file if there is none. A disk that is full or refuses keeps
    // nobody from fencing: it is logged, and an unreadable file is not replaced.
    static std::unique_ptr<HistoryFile> open(const std::string& path, PastHistory& past);
    virtual ~HistoryFile() = default;  // writes what is queued
    virtual void append(const HistoryEntry& entry) = 0;
};

}  // namespace fencing
