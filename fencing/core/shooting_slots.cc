#include "fencing/core/shooting_slots.hh"

#include <algorithm>

namespace fencing {

ShootingSlots::ShootingSlots(const Settings& settings) {
    if (settings.nodes.size() != 2) return;
    const auto one = settings.nodes.begin()->second.delay;
    const auto other = settings.nodes.rbegin()->second.delay;
    const auto gap = std::max(one, other) - std::min(one, other);
    if (gap <= base::Duration{}) return;
    for (const auto& [node, plan] : settings.nodes) delays_[node] = plan.delay - std::min(one, other);
    width_ = {gap.nanoseconds / 4};
    round_ = gap * 2;
}

// How far into the victim's slot, or past it, a moment is; nothing when there are no slots.
std::optional<base::Duration> ShootingSlots::phase(base::NodeId victim, base::Instant split, base::Instant when) const {
    const auto delay = delays_.find(victim);
    if (delay == delays_.end()) return std::nullopt;
    const auto since = (when - split - delay->second).nanoseconds;
    const auto inside = since % round_.nanoseconds;
    return base::Duration{inside < 0 ? inside + round_.nanoseconds : inside};
}

base::Instant ShootingSlots::next(base::NodeId victim, base::Instant split, base::Instant earliest) const {
    if (!exist()) return earliest;
    const auto from = std::max(earliest, split);
    const auto into = phase(victim, split, from);
    return !into || *into < width_ ? from : from + (round_ - *into);
}

bool ShootingSlots::may_begin(base::NodeId victim, base::Instant split, base::Instant now) const {
    const auto into = phase(victim, split, now);
    return !into || *into < width_ * 2;
}

}  // namespace fencing
