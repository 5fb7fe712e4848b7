// Who is a member, who is dead, and when a rebuild may begin. Every member computes the same from what the group
// delivers in the same order.
//
// A round: the lowest member of a new view, or a member that wants to leave, multicasts RoundStart; all answer with a
// MemberStatus; when those of the same round have been delivered from every process of the view, all members agree on
// participants, masters, dead and generation. A newer view or RoundStart starts over: whatever counts was sent after a
// RoundStart that was delivered in the present view, so nothing stale can count. After the agreement each participant
// waits for the gate and for quorum, and multicasts Ready; when all are ready, the rebuild begins.
//
// Who agrees with newcomers only would begin the lockspace, and first waits until nobody is missing: another lockspace
// of that name may be at work behind a broken network. Ready is multicast after that, so it counts only in a view that
// is not older than the news.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json_writer.hh"
#include "dlm/core/action.hh"

namespace dlm {

// What a rebuild starts from.
struct Round {
    Generation generation = 0;
    std::vector<Member> participants;   // sorted by node
    std::vector<base::NodeId> masters;  // sorted: participants that do not leave
};

class Membership {
  public:
    enum class Phase {
        outside,     // no view yet
        agreeing,    // a round is under way
        waiting,     // agreed; for the gate or for quorum
        ready,       // for the others to be ready
        rebuilding,  // the lockspace rebuilds
        resuming,    // it has; for the others
        running,
        left,
        lost,
    };

    explicit Membership(const Member& self) : self_(self) {}

    // Each may end or begin a phase; a Round is returned when the rebuild begins now.
    using Begun = std::optional<Round>;
    void on_view(const base::GroupView& view, Actions& actions);
    Begun on_message(base::GroupMember sender, const GroupMessage& message, Actions& actions);
    void on_fenced(const base::NodeIncarnation& life, Actions& actions);
    // The answer to an AwaitNobodyMissing; older questions are void.
    void on_nobody_missing(std::uint64_t question, Actions& actions);
    void on_quorum(bool quorate, Actions& actions);
    void on_group_lost(Actions& actions);
    // Only who has never been running is lost by that.
    void on_secret_refused(const std::string& why, Actions& actions);
    void leave(Actions& actions);
    // The lockspace has heard RebuildDone from all; the phase becomes running when all have, in the group's order, so
    // that everybody knows of each generation whether it was completed.
    void rebuild_finished(Actions& actions);

    Phase phase() const { return phase_; }
    Generation completed() const { return completed_; }
    bool terminal() const { return phase_ == Phase::left || phase_ == Phase::lost; }
    bool may_grant() const { return phase_ == Phase::running && quorate_; }
    bool leaving() const { return leaving_; }
    const Member& self() const { return self_; }
    // Of the last agreement; empty before.
    const Round& round() const { return round_; }
    // Dead sessions whose lives have not been released.
    const std::vector<Member>& dead() const { return dead_; }
    // Sessions that may still speak: participants, and the dead that are not certified.
    std::set<Member> linked() const;

    // For people: what this phase waits for; empty when for nothing.
    std::string waits_for() const;
    void check_invariants() const;
    void describe(base::JsonWriter& json) const;

  private:
    using Statuses = std::map<base::GroupMember, MemberStatus>;

    void on_start(const RoundStart& start, Actions& actions);
    void on_status(base::GroupMember sender, const MemberStatus& status, Actions& actions);
    Begun on_ready(base::GroupMember sender, const Ready& ready);
    void on_resumed(base::GroupMember sender, const Resumed& resumed, Actions& actions);
    void on_release(const base::NodeIncarnation& life);

    bool is_quiet(const base::GroupView& view) const;
    void note_vanished_leavers(const base::GroupView& view);
    void start_round(Actions& actions);
    MemberStatus status() const;
    void agree(Actions& actions);
    bool everybody_may_take_part(Actions& actions);
    void bury(const std::vector<Member>& dead, Actions& actions);
    std::vector<Member> find_dead() const;
    void tell_released_again(Actions& actions);
    void become_ready(Actions& actions);
    void resume(Actions& actions);
    void tell_recovered(Actions& actions);
    void finish_leaving(Actions& actions);
    void lose(std::string why, Actions& actions);
    bool is_fenced(const base::NodeIncarnation& life) const { return fenced_.contains(life); }

    Member self_;
    Phase phase_ = Phase::outside;
    bool quorate_ = false;
    bool leaving_ = false;
    std::uint64_t rounds_started_ = 0;
    std::vector<base::GroupMember> view_;
    std::optional<RoundId> current_;  // delivered in this view
    Statuses statuses_;
    std::set<base::NodeIncarnation> released_;              // heard here; a life that is over stays over
    std::set<base::NodeIncarnation> released_since_start_;  // heard by all of this round
    std::set<Member> released_early_;                       // of the dead; the client may not know of it yet
    Round round_;
    std::vector<Member> members_;  // of round_: those that do not leave
    std::vector<Member> dead_;
    std::set<base::NodeIncarnation> fenced_;
    std::set<base::GroupMember> ready_;
    std::set<base::GroupMember> resumed_;
    Generation finished_ = 0;   // rebuilt here
    Generation completed_ = 0;  // and everywhere
    std::set<base::Uuid> told_recovered_;
    std::set<base::Uuid> told_joined_;
    bool has_run_ = false;
    std::vector<Member> leavers_;
    std::set<Member> vanished_leavers_;  // agreed to go, gone from sight before they went: their links must last
    std::uint64_t question_ = 0;         // the last AwaitNobodyMissing
    bool somebody_may_be_missing_ = false;
};

std::string_view text_of(Membership::Phase phase);

}  // namespace dlm
