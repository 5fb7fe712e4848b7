#include "blockrep/core/activity_log.hh"

#include <algorithm>

#include "base/ensure.hh"

namespace blockrep {
namespace {

std::uint32_t first_extent(const Range& range) { return static_cast<std::uint32_t>(range.offset / al_extent_size); }
std::uint32_t last_extent(const Range& range) { return static_cast<std::uint32_t>((range.end() - 1) / al_extent_size); }

}  // namespace

ActivityLog::ActivityLog(std::uint32_t capacity, std::uint64_t sequence, std::uint64_t copy)
    : capacity_(std::clamp<std::uint32_t>(capacity, 8, max_al_extents)), sequence_(sequence), copy_(copy) {}

void ActivityLog::note_use(std::uint32_t extent, Extent& state) {
    if (state.holders == 0) unheld_.erase({state.last_use, extent});
    state.last_use = ++clock_;
}

bool ActivityLog::acquire(const Range& range) {
    bool all = true;
    for (auto extent = first_extent(range); extent <= last_extent(range); ++extent) {
        if (hot_.contains(extent)) continue;
        all = false;
        if (!coming_.contains(extent)) wanted_.insert(extent);
    }
    if (!all) return false;
    for (auto extent = first_extent(range); extent <= last_extent(range); ++extent) {
        auto& state = hot_[extent];
        note_use(extent, state);
        ++state.holders;
    }
    return true;
}

void ActivityLog::release(const Range& range) {
    for (auto extent = first_extent(range); extent <= last_extent(range); ++extent) {
        const auto found = hot_.find(extent);
        base::ensure(found != hot_.end() && found->second.holders > 0, "an extent is released that is not held");
        if (--found->second.holders == 0) unheld_.insert({found->second.last_use, extent});
    }
}

bool ActivityLog::can_update() const {
    return !updating_ && !wanted_.empty() && (hot_.size() < capacity_ || !unheld_.empty());
}

ActivityLog::Update ActivityLog::begin_update() {
    base::ensure(can_update(), "no update of the activity log is due");
    Update update;
    while (!wanted_.empty() && hot_.size() + coming_.size() < capacity_ + unheld_.size()) {
        if (hot_.size() + coming_.size() >= capacity_) {
            const auto oldest = *unheld_.begin();
            unheld_.erase(unheld_.begin());
            hot_.erase(oldest.second);
            update.put_out.push_back(oldest.second);
        }
        coming_.insert(*wanted_.begin());
        wanted_.erase(wanted_.begin());
    }
    for (const auto& [extent, state] : hot_) update.content.extents.push_back(extent);
    update.content.extents.insert(update.content.extents.end(), coming_.begin(), coming_.end());
    update.content.sequence = ++sequence_;
    copy_ = 1 - copy_;
    update.copy = copy_;
    updating_ = true;
    return update;
}

void ActivityLog::finish_update() {
    base::ensure(updating_, "no update of the activity log is under way");
    for (const auto extent : coming_) {
        hot_[extent].last_use = ++clock_;
        unheld_.insert({clock_, extent});
    }
    coming_.clear();
    updating_ = false;
}

}  // namespace blockrep
