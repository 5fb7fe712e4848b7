// The locks that operations use, kept after use and given back when another node asks: one state machine per lock.
// The table in clusterfs/README.md ("Giving a lock back") is what advance() does.
//
//   idle ──asked, minimum hold over──> revoking ──kernel forgot──> parked ──pins gone──> cleaning ──clean──> idle
//
// No deadlock between nodes: locks have a rank (rename, inode, open, allocation group; then the number). An operation
// that waits for a lock keeps others from being given back (protect) only if they rank below it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/json_writer.hh"
#include "base/time.hh"
#include "clusterfs/core/mount.hh"

namespace clusterfs {

// What the lock cache needs of the mount.
class LockOwner {
  public:
    virtual ~LockOwner() = default;
    // Everything that the lock covers is committed and in place. If not, sees to it and calls LockCache::advance() when
    // it may be so.
    virtual bool make_clean(const LockName& name) = 0;
    // Nothing of what the lock covers may be used any more.
    virtual void forget(const LockName& name) = 0;
    // Operations waited for a lock that was being given back, and what was left of it is enough for them.
    virtual void kept(const LockName& name, LockMode mode) = 0;
    virtual Ticket new_ticket() = 0;
    virtual bool may_be_directory(InodeNumber inode) = 0;
};

// Order in which operations that wait may keep locks: lower ranks are kept while higher ones are waited for.
bool ranks_below(const LockName& a, const LockName& b);

class LockCache {
  public:
    LockCache(LockOwner& owner, base::Duration minimum_hold) : owner_(owner), minimum_hold_(minimum_hold) {}
    LockCache(const LockCache&) = delete;
    LockCache& operator=(const LockCache&) = delete;

    // What an operation may rely on now.
    LockMode usable(const LockName& name) const;
    // What the lock manager has granted us.
    LockMode granted_mode(const LockName& name) const;
    // A number that changes whenever the lock was given up: what was begun under another one is void.
    std::uint64_t tenure(const LockName& name) const;
    // An operation may not pin it now: another node waits for the pins to go.
    bool refuses_pins(const LockName& name) const;

    // An operation waits for this mode. Returns false if it is refused at once: an exclusive open lock of an inode that
    // is open on this node.
    bool want(const LockName& name, LockMode mode, base::Instant now, Actions& actions);
    // Nobody waits for it yet. Nothing happens where it is held or asked for already.
    void want_soon(const LockName& name, LockMode mode, base::Instant now, Actions& actions);
    // An operation waits for a lock that is being given back, to have it anew in this mode.
    void want_again(const LockName& name, LockMode mode);
    void pin(const LockName& name);
    void unpin(const LockName& name, base::Instant now, Actions& actions);
    // A lock of an inode is pinned: its content is being read or written.
    bool uses_content() const { return content_pins_ > 0; }
    void protect(const LockName& name);
    void unprotect(const LockName& name, base::Instant now, Actions& actions);
    // An operation that used it is done.
    void note_used(const LockName& name, base::Instant now);
    // An operation that used this open lock is done: an exclusive one is given up at once, or kept shared while it is
    // pinned.
    void finish_open_lock(const LockName& name, base::Instant now, Actions& actions);

    void on_granted(const LockName& name, LockMode mode, base::Instant now, Actions& actions);
    // True if the operations that wait for it must be told that it is refused (an open lock).
    bool on_refused(const LockName& name, base::Instant now, Actions& actions);
    void on_wanted(const LockName& name, LockMode mode, base::Instant now, Actions& actions);
    void on_kernel_invalidated(Ticket ticket, base::Instant now, Actions& actions);
    void on_time_passed(base::Instant now, Actions& actions);
    std::optional<base::Instant> next_deadline() const;

    // Goes as far as the lock's state allows.
    void advance(const LockName& name, base::Instant now, Actions& actions);
    // Those whose covered blocks are awaited; and those that are still used, but will be given back soon.
    const std::set<LockName>& cleaning() const { return cleaning_; }
    const std::set<LockName>& cleaned_early() const { return early_; }

    // Of inodes by their open lock: pinned here; and somebody, here or elsewhere, asked for it exclusively since it is,
    // as who wants to delete the inode does.
    bool is_open(InodeNumber inode) const;
    bool deletion_was_wanted(InodeNumber inode) const;
    // Made by an operation of this node. As long as its lock stays exclusive, no other node can have it open.
    void note_made(InodeNumber inode);
    bool open_nowhere(InodeNumber inode) const;

    // The inode's lock has just come back from another node that reads it after each change, and will ask again.
    bool reader_follows(InodeNumber inode, base::Instant now) const;

    bool may_kernel_cache(InodeNumber inode);
    void note_read_served(InodeNumber inode);

    // Gives back what nobody uses while more than `limit` locks are held.
    void shed(std::size_t limit, base::Instant now, Actions& actions);
    // Unmount, the kernel is gone and nobody's pins count: gives everything back. True when nothing is held or
    // requested any more.
    bool give_all_back(base::Instant now, Actions& actions);

    std::size_t size() const { return locks_.size(); }
    void check_invariants() const;
    void describe(base::JsonWriter& json) const;

  private:
    enum class Phase { idle, revoking, parked, cleaning };
    struct Lock {
        LockMode mode = LockMode::none;       // granted
        LockMode requested = LockMode::none;  // a request for it is under way
        LockMode waited = LockMode::none;     // strongest mode that operations here wait for
        LockMode other = LockMode::none;      // strongest mode that another node asks for
        LockMode keep = LockMode::none;       // what will be left of it once it was given back
        Phase phase = Phase::idle;
        base::Instant granted_at;
        base::Instant used_at;     // last time an operation was done with it
        base::Instant busy_since;  // since then never unused for a minimum hold
        bool has_rested = false;   // it was, when it was last wanted
        std::optional<base::Instant> timer;
        std::uint32_t pins = 0;
        std::uint32_t protectors = 0;
        bool only_soon = false;         // asked for, but no operation has waited for it
        bool hurried = false;           // no minimum hold, no new request before it was given back
        bool kernel_may_cache = false;  // a reply has told the kernel so since the lock was granted
        bool read_served = false;       // since the invalidation began
        bool forget_again = false;      // a directory was being listed when the kernel had forgotten it
        bool deletion_wanted = false;   // of an open lock: asked for exclusively since it is pinned
        bool read_there = false;        // what the other node wanted when it was last given back
        bool made_here = false;         // of an inode's lock: exclusive since the inode was made
        Ticket invalidation = 0;
        std::uint64_t tenure = 0;
    };

    Lock* find(const LockName& name);
    const Lock* find(const LockName& name) const;
    void begin_to_give_back(const LockName& name, Lock& lock, base::Instant now, Actions& actions);
    void invalidate_kernel(const LockName& name, Lock& lock, Actions& actions);
    void give_back(const LockName& name, Lock& lock, base::Instant now, Actions& actions);
    void request_waited(const LockName& name, Lock& lock, Actions& actions);
    void note_used(Lock& lock, base::Instant now);
    bool must_keep_now(const LockName& name, Lock& lock, base::Instant now);
    base::Instant free_at(const LockName& name, const Lock& lock) const;
    bool is_read_after_change(const LockName& name, const Lock& lock) const;
    void clean_early(const LockName& name, const Lock& lock);
    void lower_open_lock(const LockName& name, Lock& lock, base::Instant now, Actions& actions);
    void release_open_lock_of(InodeNumber inode, base::Instant now, Actions& actions);
    void set_timer(const LockName& name, Lock& lock, std::optional<base::Instant> when);

    LockOwner& owner_;
    base::Duration minimum_hold_;
    std::map<LockName, Lock> locks_;
    std::set<LockName> cleaning_;
    std::set<LockName> early_;
    std::map<Ticket, LockName> invalidations_;
    std::set<std::pair<base::Instant, LockName>> timers_;
    std::uint64_t next_tenure_ = 1;
    std::uint64_t content_pins_ = 0;
    LockName shed_from_;
};

}  // namespace clusterfs
