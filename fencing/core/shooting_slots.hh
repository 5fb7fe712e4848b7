// When the two halves of a split pair may shoot each other: in turns, so that never both shots are on their way.
#pragma once

#include <optional>

#include "base/node.hh"
#include "base/time.hh"
#include "fencing/core/settings.hh"

namespace fencing {

// Both nodes see the split at nearly the same moment, but nobody knows when programs on either side will ask. So time
// is cut, from the split on, into rounds; a shot at node N begins only within a short while after N's delay has passed
// in a round. Whoever asks late waits for the next round. With more than two nodes quorum decides, and there are no
// slots.
//
//   delays 2 s (a), 0 s (b):   | shoot b |         | shoot a |         | shoot b | …
//                              0        0.5        2        2.5        4 s after the split
class ShootingSlots {
  public:
    ShootingSlots() = default;
    explicit ShootingSlots(const Settings& settings);

    bool exist() const { return !delays_.empty(); }
    base::Duration round() const { return round_; }
    // The first moment from `earliest` on at which a shot at `victim`, gone since `split`, may be decided on.
    base::Instant next(base::NodeId victim, base::Instant split, base::Instant earliest) const;
    // Whether one that was decided on may still begin.
    bool may_begin(base::NodeId victim, base::Instant split, base::Instant now) const;

  private:
    std::optional<base::Duration> phase(base::NodeId victim, base::Instant split, base::Instant when) const;

    std::map<base::NodeId, base::Duration> delays_;  // empty: no slots
    base::Duration width_;
    base::Duration round_;
};

}  // namespace fencing
