// The last attempts to fence, the same on all nodes.
#pragma once

#include <deque>
#include <vector>

#include "base/json_writer.hh"
#include "fencing/format/history_entry.hh"
#include "fencing/format/message.hh"

namespace fencing {

class History {
  public:
    static constexpr std::size_t limit = 500;

    // Keeps the entries in order of their time. False: it is there already, or older than all that is kept.
    bool add(HistoryEntry entry);
    const std::deque<HistoryEntry>& entries() const { return entries_; }
    // The whole, in pieces that fit into one message each.
    std::vector<HistoryBatch> batches() const;

  private:
    std::deque<HistoryEntry> entries_;
};

const char* text_of(Outcome outcome);
void describe(const HistoryEntry& entry, base::JsonWriter& out);

}  // namespace fencing
