#include "fencing/core/lives.hh"

namespace fencing {

bool Lives::mention(const base::NodeIncarnation& life) {
    if (life.incarnation.is_nil() || dead_.contains(life)) return false;
    return known_.insert(life).second;
}

bool Lives::bury(const base::NodeIncarnation& life) {
    if (life.incarnation.is_nil()) return false;
    known_.erase(life);
    return dead_.insert(life).second;
}

std::vector<base::Uuid> Lives::open_lives(base::NodeId node) const {
    std::vector<base::Uuid> out;
    for (const auto& life : known_) {
        if (life.node == node) out.push_back(life.incarnation);
    }
    return out;
}

}  // namespace fencing
