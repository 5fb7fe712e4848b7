// Locks for simulated mounts: one place that knows all, messages to and from it take time and keep their order for
// each node. What a dead node may have held for writing is withheld until somebody releases it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "clusterfs/core/mount.hh"
#include "tests/sim/common/random.hh"
#include "tests/sim/common/run_seeds.hh"
#include "tests/sim/common/scheduler.hh"

namespace sim {

class LockServer {
  public:
    using Deliver = std::function<void(clusterfs::Event)>;

    LockServer(Scheduler& scheduler, Random random) : scheduler_(scheduler), random_(random) {}

    // One life of a node; `deliver` is called when a message reaches it.
    void join(const base::NodeIncarnation& life, Deliver deliver);
    // It left in good order: must hold nothing.
    void leave(const base::NodeIncarnation& life);
    // Its messages under way still arrive here until it is fenced.
    void crashed(const base::NodeIncarnation& life);
    // Every node lost its power: the locks were in their memories.
    void forget_everything();
    // Fenced: its locks are purged, survivors are told.
    void fenced(const base::NodeIncarnation& life);

    void request(const base::NodeIncarnation& life, const clusterfs::RequestLock& request);
    void release(const base::NodeIncarnation& life, const clusterfs::ReleaseLock& release);
    void release_dead(const base::NodeIncarnation& life);
    std::string describe() const;

  private:
    using Life = base::NodeIncarnation;
    using Mode = clusterfs::LockMode;
    struct Waiting {
        Life life;
        Mode mode;
        bool recovery;
    };
    struct Lock {
        std::map<Life, Mode> holders;
        std::map<Life, Mode> dead;  // withheld
        std::deque<Waiting> queue;  // conversions first
    };
    struct Member {
        Deliver deliver;
        bool alive = true;
        base::Instant last_to;  // messages keep their order
        base::Instant last_from;
    };

    void to_server(const Life& life, std::function<void()> work);
    void to_node(const Life& life, clusterfs::Event event);
    base::Instant next_at(base::Instant& last);
    void handle_request(const Life& life, const clusterfs::RequestLock& request);
    bool grantable(const Lock& lock, const Waiting& waiting) const;
    void serve(const clusterfs::LockName& name, Lock& lock);
    void notify_blockers(const clusterfs::LockName& name, const Lock& lock);

    Scheduler& scheduler_;
    Random random_;
    std::map<Life, Member> members_;
    std::map<clusterfs::LockName, Lock> locks_;
    std::set<Life> withheld_;
};

}  // namespace sim
