// Ranges of which no two overlap, found by what they lie in: some thousand writes may be in flight.
#pragma once

#include <iterator>
#include <map>

#include "base/ensure.hh"
#include "blockrep/format/range.hh"

namespace blockrep {

class DisjointRanges {
  public:
    // It overlaps none that is here.
    void insert(const Range& range) { ends_.emplace(range.offset, range.end()); }
    // One that was inserted.
    void erase(const Range& range) { base::ensure(ends_.erase(range.offset) == 1, "a range that is not here"); }

    bool overlap(const Range& range) const {
        const auto behind = ends_.lower_bound(range.end());
        return behind != ends_.begin() && std::prev(behind)->second > range.offset;
    }
    std::size_t size() const { return ends_.size(); }

  private:
    std::map<std::uint64_t, std::uint64_t> ends_;  // by offset
};

}  // namespace blockrep
