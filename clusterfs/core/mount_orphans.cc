#include "clusterfs/core/mount_orphans.hh"

#include "base/probe.hh"

#include <algorithm>
#include <utility>

namespace clusterfs {
namespace {

base::Probe probe_orphan("clusterfs: an orphan list is worked off");
constexpr std::size_t at_once = 64;
constexpr auto scan_interval = base::Duration::seconds(60);
}  // namespace

void MountOrphans::open(std::uint32_t own_slot) {
    own_slot_ = own_slot;
    clean(own_slot);
}

void MountOrphans::clean(std::uint32_t slot) {
    if (stopped_ || !own_slot_) return;
    if (slot == *own_slot_) next_scan_ = io_.now() + scan_interval;
    if (std::find(slots_.begin(), slots_.end(), slot) != slots_.end() && !busy_) return;
    slots_.push_back(slot);
    if (!busy_) next();
}

void MountOrphans::on_time_passed() {
    if (next_scan_ && io_.now() >= *next_scan_) clean(*own_slot_);
}

void MountOrphans::next() {
    busy_ = !stopped_ && !slots_.empty();
    if (!busy_) return;
    after_ = 0;
    list();
}

void MountOrphans::list() {
    operations_.run(
        [this](View& view) -> base::Result<void> {
            BASE_ASSIGN(found_, operations::list_orphans(view, slots_.front(), after_, at_once));
            return {};
        },
        [this](base::Result<void> outcome) {
            if (outcome && !found_.empty() && !stopped_) return delete_next();
            slots_.pop_front();
            next();
        });
}

// Each step is an operation of its own, so that no lock is kept for long.
void MountOrphans::delete_next() {
    probe_orphan.hit();
    if (stopped_) {
        busy_ = false;
        return;
    }
    if (found_.empty()) return list();
    operations_.run(
        [this](View& view) -> base::Result<void> {
            BASE_ASSIGN(outcome_, operations::delete_orphan(view, found_.front()));
            return {};
        },
        [this](base::Result<void> outcome) {
            if (!outcome || outcome_ != operations::Deletion::more) {
                if (outcome && outcome_ == operations::Deletion::done) ++deleted_;
                after_ = found_.front().number;
                found_.erase(found_.begin());
            }
            delete_next();
        });
}

}  // namespace clusterfs
