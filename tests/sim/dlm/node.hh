// One machine: a lockspace with its links, and a client that asks for locks of all kinds.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "dlm/core/lockspace.hh"
#include "tests/sim/common/random.hh"
#include "tests/sim/dlm/group.hh"
#include "tests/sim/dlm/network.hh"
#include "tests/sim/dlm/peers.hh"
#include "tests/sim/dlm/truth.hh"

namespace sim_dlm {

// What a node needs of the world around it.
struct Surroundings {
    sim::Scheduler& scheduler;
    Group& group;
    Network& network;
    Truth& truth;
    std::function<void(base::NodeId asker, base::NodeIncarnation)> request_fence;
    std::function<void(base::NodeId asker, base::NodeIncarnation)> withdraw_fence;
    // Whether a node may be at work that the asker does not see.
    std::function<bool(base::GroupMember asker)> somebody_is_missing;
    std::function<void()> somebody_left;
    std::function<void(base::NodeId who, base::NodeId dead)> somebody_repairs;
    std::function<void(const std::string&)> trace;
    // Who has released which life. A mount releases whatever it was told of; here one is enough as long as it lives, so
    // that a release that is lost is missed.
    std::map<base::NodeIncarnation, std::set<base::Uuid>>& released_by;
    std::function<bool(const base::NodeIncarnation&)> nobody_else_releases;
};

class Node {
  public:
    Node(Surroundings& around, sim::Random random, base::NodeId id, bool quorate);
    ~Node();

    void boot(bool same_life);
    // Nothing that happens reaches it for so long, and it does nothing.
    void pause(base::Duration lasts);
    void crash();
    bool up() const { return lockspace_ != nullptr; }
    // Takes part in what the others have agreed.
    bool informed() const { return lockspace_ && lockspace_->agreed_generation() != 0; }
    bool powered() const { return powered_; }
    const base::NodeIncarnation& life() const { return life_; }
    base::NodeId id() const { return id_; }
    const base::Uuid& session() const { return session_; }
    bool has_journal() const;
    void life_fenced(const base::NodeIncarnation& dead);
    void quorum(bool quorate);
    void leave();
    // No new locks; what is held is given back.
    void calm_down() { calm_ = true; }
    // It has ended in good order, or never begun, since it was switched on.
    bool left_in_order() const { return powered_ && !lockspace_; }
    bool idle() const;
    std::string describe() const;

  private:
    struct Lock {
        std::string name;
        dlm::LockId id = 0;
        std::optional<dlm::Mode> granted;
        std::optional<dlm::OperationId> operation;
        dlm::Mode requested = dlm::Mode::NL;
        dlm::Flags flags;
        std::uint64_t token = 0;
        bool is_journal = false;
        std::optional<base::NodeIncarnation> repairs;
    };

    void step(const dlm::Event& event);
    void await_nobody_missing(std::uint64_t question);
    void perform(dlm::Action& action);
    void on(dlm::Completed& completed);
    void on(dlm::BlockingNotice& notice);
    void on(dlm::NodeNotice& notice);
    void arm();
    void awake();
    void after(base::Duration delay, std::function<void()> work);

    void act_sometime();
    void act();
    void ask(const std::string& name, dlm::Mode mode, dlm::Flags flags, std::optional<base::NodeIncarnation> repairs);
    void convert(Lock& lock);
    void unlock(dlm::LockId id);
    void cancel(dlm::LockId id);
    dlm::Flags some_flags(bool conversion, dlm::Mode mode);
    void repair(dlm::LockId id, const base::NodeIncarnation& dead);
    void repair_without_journal(dlm::LockId id, const base::NodeIncarnation& dead);
    void release(dlm::LockId id, const base::NodeIncarnation& dead);
    void continue_leaving();
    Holder holder(dlm::LockId id) const { return {session_, id}; }
    void trace(const std::string& line);

    Surroundings& around_;
    sim::Random random_;
    base::NodeId id_;
    // Of the seed. Less than it takes a member to come back, and a master may forget what is newer than what is told
    // again.
    base::Duration forget_after_;
    bool quorate_;
    bool powered_ = false;
    bool calm_ = false;
    bool leaving_ = false;
    bool left_sent_ = false;
    std::uint64_t run_ = 0;  // counts lives of the process: what an old one had planned is dropped
    base::NodeIncarnation life_;
    base::Uuid session_;
    dlm::Member self_;
    std::unique_ptr<dlm::Lockspace> lockspace_;
    std::unique_ptr<Peers> peers_;
    std::map<dlm::LockId, Lock> locks_;
    dlm::LockId next_lock_ = 1;
    dlm::OperationId next_operation_ = 1;
    std::uint32_t process_ = 100;
    std::set<base::NodeIncarnation> known_fenced_;
    bool paused_ = false;
    std::deque<std::function<void()>> waiting_;  // what has happened meanwhile
    std::optional<base::Instant> armed_;
};

}  // namespace sim_dlm
