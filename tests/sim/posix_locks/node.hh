// One machine, its mount if it has one, and the programs on it that lock and unlock.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "clusterfs/core/posix_locks.hh"
#include "tests/sim/common/random.hh"
#include "tests/sim/common/scheduler.hh"
#include "tests/sim/dlm/group.hh"
#include "tests/sim/posix_locks/truth.hh"

namespace sim_posix_locks {

struct Surroundings {
    sim::Scheduler& scheduler;
    sim_dlm::Group& group;
    Truth& truth;
    std::map<base::GroupMember, base::NodeIncarnation>& lives;  // which life the process is in, or was in last
    std::function<void(const std::string&)> trace;
};

class Node {
  public:
    Node(Surroundings& around, sim::Random random, base::NodeId id) : around_(around), random_(random), id_(id) {
        life_.node = id;
    }

    bool powered() const { return powered_; }
    bool runs() const { return locks_ != nullptr; }
    const base::NodeIncarnation& life() const { return life_; }
    base::GroupMember member() const { return member_; }
    const std::vector<base::GroupMember>& view() const { return view_; }
    // Lives that were here, and did not leave.
    const std::set<base::NodeIncarnation>& missed() const { return missed_; }
    void learn_missed(const std::set<base::NodeIncarnation>& by_another);

    void power_on() { powered_ = true; }
    // A mount starts: a new life, and sometimes the process id of the one before.
    void start();
    // The lockspace has let the mount in: from now on it is used.
    void use();
    bool used() const { return used_; }
    // The lockspace lets nobody go who has lost sight of others.
    bool may_leave() const { return used_ && locks_->synchronized() && !locks_->frozen(); }
    void crash();
    void end_process(bool orderly);
    void life_over(const base::NodeIncarnation& dead);
    void calm_down() { calm_ = true; }
    bool idle() const;
    std::string describe() const;

  private:
    void tell_certified();
    struct Program {
        std::uint64_t asked = 0;  // its request's number, 0: none
        clusterfs::AdvisoryRequest request;
        bool is_test = false;
        int unlocked = 0;  // of the things there are to unlock at the end
    };

    void trace(const std::string& line);
    void after(base::Duration delay, std::function<void()> work);
    void view_changed(const base::GroupView& view);
    template <typename Call>
    void step(Call call);
    void act(std::size_t program);
    void ask(std::size_t program);
    clusterfs::AdvisoryRequest choose(std::size_t program);
    void answered(const clusterfs::AnswerAdvisory& answer);
    void forget();

    Surroundings& around_;
    sim::Random random_;
    base::NodeId id_;
    bool powered_ = false;
    bool used_ = false;
    bool calm_ = false;
    std::uint64_t run_ = 0;
    base::NodeIncarnation life_;
    base::GroupMember member_;
    std::unique_ptr<clusterfs::PosixLocks> locks_;
    std::vector<base::GroupMember> view_;
    std::map<base::GroupMember, base::NodeIncarnation> seen_;
    std::set<base::NodeIncarnation> missed_;
    std::set<base::NodeIncarnation> told_over_;
    std::vector<base::NodeIncarnation> certified_;  // over, and the locks have not been told
    std::uint64_t next_request_ = 1;
    std::size_t undelivered_ = 0;
    std::vector<Program> programs_;
};

}  // namespace sim_posix_locks
