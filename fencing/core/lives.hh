// Which lives of which machines were heard of, and which of them are over. Facts only ever grow.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "base/node.hh"

namespace fencing {

class Lives {
  public:
    // Nil incarnations are no lives and are ignored. True: not heard of before.
    bool mention(const base::NodeIncarnation& life);
    // True: this is news.
    bool bury(const base::NodeIncarnation& life);

    bool is_dead(const base::NodeIncarnation& life) const { return dead_.contains(life); }
    bool is_known(const base::NodeIncarnation& life) const { return known_.contains(life) || dead_.contains(life); }
    const std::set<base::NodeIncarnation>& dead() const { return dead_; }
    const std::set<base::NodeIncarnation>& known() const { return known_; }  // without the dead ones
    // Lives of one machine that were heard of and are not known to be over.
    std::vector<base::Uuid> open_lives(base::NodeId node) const;

  private:
    std::set<base::NodeIncarnation> known_;
    std::set<base::NodeIncarnation> dead_;
};

}  // namespace fencing
