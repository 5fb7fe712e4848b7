#include "clusterfs/core/lock_cache.hh"

#include <algorithm>
#include <utility>

#include "base/ensure.hh"
#include "base/probe.hh"

namespace clusterfs {
namespace {

base::Probe probe_early("clusterfs: a lock that is used is cleaned for another node");
base::Probe probe_given_back("clusterfs: a lock is given back for another node");
base::Probe probe_refused("clusterfs: a lock is refused");
base::Probe probe_deletion_asked("clusterfs: the open lock of a deleted file is asked for");
base::Probe probe_lowered("clusterfs: an open lock is kept shared");
base::Probe probe_shed("clusterfs: unused locks are given up");

int rank(LockType type) {
    switch (type) {
        case LockType::rename:
            return 0;
        case LockType::inode:
            return 1;
        case LockType::open:
            return 2;
        case LockType::allocation_group:
            return 3;
        case LockType::slot:
        case LockType::slot_map:
            return 4;
    }
    return 5;
}

// Does a lock held in `mode` keep another node from getting `other`?
bool conflicts(LockMode mode, LockMode other) {
    return (mode == LockMode::exclusive && other != LockMode::none) ||
           (mode == LockMode::shared && other == LockMode::exclusive);
}

const char* text(LockMode mode) {
    return mode == LockMode::exclusive ? "exclusive" : mode == LockMode::shared ? "shared" : "none";
}

}  // namespace

bool ranks_below(const LockName& a, const LockName& b) {
    return std::pair(rank(a.type), a.number) < std::pair(rank(b.type), b.number);
}

LockCache::Lock* LockCache::find(const LockName& name) {
    const auto found = locks_.find(name);
    return found == locks_.end() ? nullptr : &found->second;
}

const LockCache::Lock* LockCache::find(const LockName& name) const {
    const auto found = locks_.find(name);
    return found == locks_.end() ? nullptr : &found->second;
}

LockMode LockCache::usable(const LockName& name) const {
    const auto* lock = find(name);
    if (lock == nullptr) return LockMode::none;
    // An inode that is open here cannot be found to be open nowhere.
    if (name.type == LockType::open && lock->pins > 0) return std::min(lock->mode, LockMode::shared);
    switch (lock->phase) {
        case Phase::idle:
        case Phase::revoking:
            return lock->mode;
        case Phase::parked:
            return lock->pins > 0 ? lock->mode : lock->keep;
        case Phase::cleaning:
            return lock->keep;
    }
    return LockMode::none;
}

LockMode LockCache::granted_mode(const LockName& name) const {
    const auto* lock = find(name);
    return lock == nullptr ? LockMode::none : lock->mode;
}

std::uint64_t LockCache::tenure(const LockName& name) const {
    const auto* lock = find(name);
    return lock == nullptr ? 0 : lock->tenure;
}

bool LockCache::refuses_pins(const LockName& name) const {
    const auto* lock = find(name);
    return lock != nullptr && (lock->phase == Phase::parked || lock->phase == Phase::cleaning);
}

bool LockCache::want(const LockName& name, LockMode mode, base::Instant now, Actions& actions) {
    auto& lock = locks_[name];
    if (name.type == LockType::open && mode == LockMode::exclusive && lock.pins > 0) {
        lock.deletion_wanted = true;
        return false;
    }
    lock.waited = std::max(lock.waited, mode);
    lock.only_soon = false;
    lock.has_rested |= now - lock.used_at > minimum_hold_;
    advance(name, now, actions);
    return true;
}

void LockCache::want_soon(const LockName& name, LockMode mode, base::Instant now, Actions& actions) {
    auto& lock = locks_[name];
    if (lock.mode != LockMode::none || lock.requested != LockMode::none) return;
    lock.waited = std::max(lock.waited, mode);
    lock.only_soon = true;
    advance(name, now, actions);
}

void LockCache::want_again(const LockName& name, LockMode mode) {
    auto* lock = find(name);
    base::ensure(lock != nullptr && lock->phase != Phase::idle, "only a lock that is being given back is awaited so");
    lock->waited = std::max(lock->waited, mode);
}

void LockCache::pin(const LockName& name) {
    auto* lock = find(name);
    base::ensure(lock != nullptr && lock->mode != LockMode::none, "a lock is pinned that is not held");
    ++lock->pins;
    if (name.type == LockType::inode) ++content_pins_;
}

void LockCache::unpin(const LockName& name, base::Instant now, Actions& actions) {
    auto* lock = find(name);
    base::ensure(lock != nullptr && lock->pins > 0, "a lock is unpinned that is not pinned");
    --lock->pins;
    if (name.type == LockType::inode) --content_pins_;
    if (lock->pins > 0) return;
    lock->deletion_wanted = false;
    note_used(*lock, now);
    // Whoever wants to delete the inode asks for its lock first and finds the open lock given up with it.
    if (name.type == LockType::open && granted_mode(inode_lock(name.number)) == LockMode::none) {
        lock->hurried = true;
        lock->other = LockMode::exclusive;
    }
    advance(name, now, actions);
}

void LockCache::protect(const LockName& name) { ++locks_[name].protectors; }

void LockCache::unprotect(const LockName& name, base::Instant now, Actions& actions) {
    auto* lock = find(name);
    base::ensure(lock != nullptr && lock->protectors > 0, "a lock is unprotected that is not protected");
    if (--lock->protectors == 0) advance(name, now, actions);
}

void LockCache::note_used(const LockName& name, base::Instant now) {
    if (auto* lock = find(name)) note_used(*lock, now);
}

void LockCache::note_used(Lock& lock, base::Instant now) {
    const auto last = std::max(lock.used_at, lock.granted_at);  // waiting for it is no rest
    if (std::exchange(lock.has_rested, false) || now - last > minimum_hold_) lock.busy_since = now;
    lock.used_at = now;
}

void LockCache::finish_open_lock(const LockName& name, base::Instant now, Actions& actions) {
    auto* lock = find(name);
    if (lock == nullptr || lock->mode != LockMode::exclusive) return;
    if (lock->pins > 0) return lower_open_lock(name, *lock, now, actions);
    lock->hurried = true;
    lock->other = LockMode::exclusive;
    advance(name, now, actions);
}

// It was opened here while its deletion was being tried: others may have it open, too.
void LockCache::lower_open_lock(const LockName& name, Lock& lock, base::Instant now, Actions& actions) {
    if (lock.phase != Phase::idle || lock.requested != LockMode::none) return;
    probe_lowered.hit();
    lock.mode = LockMode::shared;
    actions.push_back(ReleaseLock{name, LockMode::shared});
    advance(name, now, actions);
}

void LockCache::on_granted(const LockName& name, LockMode mode, base::Instant now, Actions& actions) {
    auto& lock = locks_[name];
    if (mode <= lock.mode) return;  // the echo of giving a part back
    if (lock.mode == LockMode::none) lock.tenure = next_tenure_++;
    lock.mode = mode;
    lock.requested = LockMode::none;
    lock.granted_at = now;
    if (lock.waited <= mode) lock.waited = LockMode::none;
    if (name.type == LockType::open && mode == LockMode::exclusive && lock.pins > 0) {
        lower_open_lock(name, lock, now, actions);
    }
    // Its inode's lock was given back meanwhile: nothing would make us give this one up.
    if (std::exchange(lock.only_soon, false) && name.type == LockType::open) {
        const auto* covering = find(inode_lock(name.number));
        if (covering == nullptr || std::max(covering->mode, covering->requested) == LockMode::none) {
            lock.hurried = true;
            lock.other = LockMode::exclusive;
        }
    }
    // The caller runs the operations that waited before it lets the lock advance: a fresh grant is always used.
    if (lock.waited > mode) advance(name, now, actions);
}

bool LockCache::on_refused(const LockName& name, base::Instant now, Actions& actions) {
    probe_refused.hit();
    auto* lock = find(name);
    if (lock == nullptr) return false;
    lock->requested = LockMode::none;
    if (name.type == LockType::open) {
        lock->waited = LockMode::none;
        advance(name, now, actions);
        return true;
    }
    // Two nodes hold it shared and both want more: this one gives way and asks anew.
    lock->hurried = true;
    lock->other = LockMode::exclusive;
    advance(name, now, actions);
    return false;
}

void LockCache::on_wanted(const LockName& name, LockMode mode, base::Instant now, Actions& actions) {
    auto* lock = find(name);
    if (lock == nullptr) return;
    lock->other = std::max(lock->other, mode);
    lock->deletion_wanted |= name.type == LockType::open && lock->pins > 0 && mode == LockMode::exclusive;
    advance(name, now, actions);
}

void LockCache::on_kernel_invalidated(Ticket ticket, base::Instant now, Actions& actions) {
    const auto found = invalidations_.find(ticket);
    if (found == invalidations_.end()) return;
    const auto name = found->second;
    invalidations_.erase(found);
    auto& lock = locks_.at(name);
    lock.invalidation = 0;
    if (lock.read_served) return invalidate_kernel(name, lock, actions);
    lock.kernel_may_cache = false;
    // Pages wait for the read that brings them. Nothing waits for what is being listed: once more when it was answered.
    lock.forget_again = lock.pins > 0 && owner_.may_be_directory(name.number);
    lock.phase = Phase::parked;
    advance(name, now, actions);
}

void LockCache::on_time_passed(base::Instant now, Actions& actions) {
    while (!timers_.empty() && timers_.begin()->first <= now) {
        const auto name = timers_.begin()->second;
        set_timer(name, locks_.at(name), std::nullopt);
        advance(name, now, actions);
    }
}

std::optional<base::Instant> LockCache::next_deadline() const {
    if (timers_.empty()) return std::nullopt;
    return timers_.begin()->first;
}

void LockCache::set_timer(const LockName& name, Lock& lock, std::optional<base::Instant> when) {
    if (lock.timer == when) return;
    if (lock.timer) timers_.erase({*lock.timer, name});
    lock.timer = when;
    if (when) timers_.emplace(*when, name);
}

// Another node asks, but not yet: see the order of reasons.
bool LockCache::must_keep_now(const LockName& name, Lock& lock, base::Instant now) {
    if (name.type == LockType::open && lock.pins > 0) return true;
    if (lock.protectors > 0 || lock.requested != LockMode::none) return true;
    const auto when = free_at(name, lock);
    if (lock.hurried || now >= when) return false;
    set_timer(name, lock, when);
    return true;
}

// The minimum hold lets who works with it get something done for the price of a hand-over. Whoever stopped writing to a
// file does not need it; sooner if it had only just begun and the other node wants to read. Between two changes of a
// directory programs do other things: there no pause tells anything.
base::Instant LockCache::free_at(const LockName& name, const Lock& lock) const {
    const auto longest = lock.granted_at + minimum_hold_;
    const bool is_file = name.type == LockType::inode && !owner_.may_be_directory(name.number);
    if (lock.pins > 0 || !is_file) return longest;
    const auto pause = base::Duration{minimum_hold_.nanoseconds / (is_read_after_change(name, lock) ? 64 : 16)};
    return std::min(longest, std::max(lock.granted_at, lock.used_at) + pause);
}

// A file that is changed here now and then, and that the other node wants to read.
bool LockCache::is_read_after_change(const LockName& name, const Lock& lock) const {
    const bool is_file = name.type == LockType::inode && !owner_.may_be_directory(name.number);
    const bool is_now_and_then = lock.used_at - lock.busy_since < base::Duration{minimum_hold_.nanoseconds / 4};
    return is_file && is_now_and_then && lock.other == LockMode::shared;
}

// What was changed is committed and put in place while the data is still being written and the pause goes by. Whoever
// is busy with the file would pay for it with each change.
void LockCache::clean_early(const LockName& name, const Lock& lock) {
    if (!is_read_after_change(name, lock) || owner_.make_clean(name)) return;
    probe_early.hit();
    early_.insert(name);
}

void LockCache::advance(const LockName& name, base::Instant now, Actions& actions) {
    auto* lock = find(name);
    if (lock == nullptr) return;
    early_.erase(name);
    if (lock->phase == Phase::idle) {
        if (!conflicts(lock->mode, lock->other)) {
            lock->other = LockMode::none;
            lock->hurried = false;
            set_timer(name, *lock, std::nullopt);
            request_waited(name, *lock, actions);
            const bool unused = lock->mode == LockMode::none && lock->requested == LockMode::none &&
                                lock->protectors == 0 && lock->pins == 0;
            if (unused) locks_.erase(name);
            return;
        }
        if (must_keep_now(name, *lock, now)) {
            if (!lock->hurried) request_waited(name, *lock, actions);
            return clean_early(name, *lock);
        }
        begin_to_give_back(name, *lock, now, actions);
    }
    if (lock->phase == Phase::parked && lock->pins > 0) clean_early(name, *lock);
    if (lock->phase == Phase::parked && lock->pins == 0) {
        if (std::exchange(lock->forget_again, false)) {
            lock->phase = Phase::revoking;
            return invalidate_kernel(name, *lock, actions);
        }
        lock->phase = Phase::cleaning;
        cleaning_.insert(name);
    }
    if (lock->phase == Phase::cleaning && owner_.make_clean(name)) give_back(name, *lock, now, actions);
}

void LockCache::request_waited(const LockName& name, Lock& lock, Actions& actions) {
    if (lock.waited <= lock.mode || lock.requested >= lock.waited || lock.requested != LockMode::none) return;
    lock.requested = lock.waited;
    const bool no_queue = name.type == LockType::open && lock.waited == LockMode::exclusive;
    actions.push_back(RequestLock{name, lock.waited, no_queue, false});
}

void LockCache::begin_to_give_back(const LockName& name, Lock& lock, base::Instant, Actions& actions) {
    probe_given_back.hit();
    set_timer(name, lock, std::nullopt);
    lock.keep = lock.other == LockMode::shared ? LockMode::shared : LockMode::none;
    // What the kernel caches stays true under a shared lock: writes never stay there.
    if (lock.keep == LockMode::none && lock.kernel_may_cache) {
        lock.phase = Phase::revoking;
        invalidate_kernel(name, lock, actions);
    } else {
        lock.phase = Phase::parked;
    }
}

void LockCache::invalidate_kernel(const LockName& name, Lock& lock, Actions& actions) {
    lock.read_served = false;
    lock.invalidation = owner_.new_ticket();
    invalidations_.emplace(lock.invalidation, name);
    actions.push_back(InvalidateKernel{lock.invalidation, name.number, owner_.may_be_directory(name.number)});
}

void LockCache::give_back(const LockName& name, Lock& lock, base::Instant now, Actions& actions) {
    cleaning_.erase(name);
    lock.phase = Phase::idle;
    lock.mode = lock.keep;
    lock.read_there = lock.keep == LockMode::shared;
    lock.hurried = false;
    lock.made_here = false;
    if (lock.mode == LockMode::none) {
        owner_.forget(name);
        lock.tenure = 0;
        lock.kernel_may_cache = false;
        if (name.type == LockType::inode) release_open_lock_of(name.number, now, actions);
    }
    actions.push_back(ReleaseLock{name, lock.mode});
    if (!conflicts(lock.mode, lock.other)) lock.other = LockMode::none;
    if (lock.waited != LockMode::none && lock.waited <= lock.mode) {
        lock.waited = LockMode::none;  // nothing is requested, so no grant will wake them
        lock.granted_at = now;
        owner_.kept(name, lock.mode);
    }
    advance(name, now, actions);
}

void LockCache::release_open_lock_of(InodeNumber inode, base::Instant now, Actions& actions) {
    probe_deletion_asked.hit();
    const LockName name{LockType::open, inode};
    auto* open = find(name);
    if (open == nullptr || open->pins > 0 || open->mode == LockMode::none || open->phase != Phase::idle) return;
    open->hurried = true;
    open->other = LockMode::exclusive;
    advance(name, now, actions);
}

bool LockCache::is_open(InodeNumber inode) const {
    const auto* open = find({LockType::open, inode});
    return open != nullptr && open->pins > 0;
}

bool LockCache::deletion_was_wanted(InodeNumber inode) const {
    const auto* open = find({LockType::open, inode});
    return open != nullptr && open->deletion_wanted;
}

void LockCache::note_made(InodeNumber inode) {
    auto* lock = find(inode_lock(inode));
    base::ensure(lock != nullptr && lock->mode == LockMode::exclusive, "an inode is made without its lock");
    lock->made_here = true;
}

bool LockCache::open_nowhere(InodeNumber inode) const {
    const auto* lock = find(inode_lock(inode));
    return lock != nullptr && lock->made_here && !is_open(inode);
}

bool LockCache::reader_follows(InodeNumber inode, base::Instant now) const {
    const auto* lock = find(inode_lock(inode));
    return lock != nullptr && lock->mode == LockMode::exclusive && lock->read_there &&
           now - lock->granted_at < minimum_hold_;
}

bool LockCache::may_kernel_cache(InodeNumber inode) {
    auto* lock = find(inode_lock(inode));
    if (lock == nullptr || lock->mode == LockMode::none || lock->phase != Phase::idle) return false;
    if (conflicts(lock->mode, lock->other)) return false;
    lock->kernel_may_cache = true;
    return true;
}

void LockCache::note_read_served(InodeNumber inode) {
    auto* lock = find(inode_lock(inode));
    if (lock == nullptr) return;
    lock->read_served = true;
    lock->kernel_may_cache = true;
}

// Walks the locks round robin, so that those in use are asked rarely and the walk costs little.
void LockCache::shed(std::size_t limit, base::Instant now, Actions& actions) {
    probe_shed.hit();
    if (locks_.size() <= limit) return;
    std::vector<LockName> chosen;
    auto place = locks_.upper_bound(shed_from_);
    for (std::size_t looked = 0; looked < 64; ++looked) {
        if (place == locks_.end()) place = locks_.begin();
        const auto& lock = place->second;
        const bool unused = lock.mode != LockMode::none && lock.requested == LockMode::none &&
                            lock.waited == LockMode::none && lock.phase == Phase::idle && lock.pins == 0 &&
                            lock.protectors == 0 && place->first.type == LockType::inode;
        if (unused) chosen.push_back(place->first);
        shed_from_ = place->first;
        ++place;
    }
    for (const auto& name : chosen) on_wanted(name, LockMode::exclusive, now, actions);
}

bool LockCache::give_all_back(base::Instant now, Actions& actions) {
    std::vector<LockName> names;
    for (const auto& [name, lock] : locks_) names.push_back(name);
    for (const auto& name : names) {
        auto* lock = find(name);
        if (lock == nullptr) continue;
        lock->hurried = true;
        lock->other = LockMode::exclusive;
        lock->waited = LockMode::none;
        if (name.type == LockType::inode) content_pins_ -= lock->pins;
        lock->pins = 0;
        // There is no kernel any more that could be told.
        lock->kernel_may_cache = lock->forget_again = false;
        if (lock->phase == Phase::revoking) {
            invalidations_.erase(std::exchange(lock->invalidation, 0));
            lock->phase = Phase::parked;
        }
        advance(name, now, actions);
    }
    return locks_.empty();
}

void LockCache::check_invariants() const {
    for (const auto& [name, lock] : locks_) {
        base::ensure(lock.phase == Phase::idle || lock.mode != LockMode::none, "only a held lock is given back");
        base::ensure((lock.phase == Phase::cleaning) == cleaning_.contains(name), "cleaning locks are listed");
        base::ensure((lock.phase == Phase::revoking) == (lock.invalidation != 0), "revoking waits for the kernel");
        base::ensure(lock.pins == 0 || lock.mode != LockMode::none, "a pinned lock is held");
        base::ensure(lock.phase != Phase::cleaning || lock.pins == 0, "a pinned lock is not given back");
        base::ensure((lock.mode == LockMode::none) == (lock.tenure == 0), "a held lock has a tenure");
        base::ensure(lock.phase == Phase::idle || lock.pins > 0 || !early_.contains(name),
                     "cleaned early is what is used");
        base::ensure(lock.timer.has_value() == (lock.timer && timers_.contains({*lock.timer, name})),
                     "timers are listed");
    }
}

void LockCache::describe(base::JsonWriter& json) const {
    static constexpr const char* phases[] = {"idle", "revoking", "parked", "cleaning"};
    json.begin_object().member("held", locks_.size()).key("busy").begin_array();
    for (const auto& [name, lock] : locks_) {
        const bool calm = lock.phase == Phase::idle && lock.requested == LockMode::none && lock.other == LockMode::none;
        if (calm) continue;
        json.begin_object().member("name", name.text()).member("mode", text(lock.mode));
        json.member("phase", phases[static_cast<int>(lock.phase)]).member("requested", text(lock.requested));
        json.member("wanted_by_other", text(lock.other)).member("pins", lock.pins).end_object();
    }
    json.end_array().end_object();
}

}  // namespace clusterfs
