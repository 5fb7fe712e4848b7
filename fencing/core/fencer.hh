// The fencing daemon's brain: who is shot, by whom, when, and which lives are known to be over (fencing/README.md).
// Pure: events in, actions out. The driver delivers the group's messages and views in CPG's order.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/json_writer.hh"
#include "fencing/core/action.hh"
#include "fencing/core/event.hh"
#include "fencing/core/execution.hh"
#include "fencing/core/history.hh"
#include "fencing/core/lives.hh"
#include "fencing/core/operation.hh"
#include "fencing/core/settings.hh"
#include "fencing/core/shooting_slots.hh"

namespace fencing {

class Fencer {
  public:
    // `incarnation`: this machine's present life. `past`: the history file; dead lives in it are known from the start.
    Fencer(Settings settings, const base::Uuid& incarnation, const std::vector<HistoryEntry>& past);

    // Total: every event in every state.
    void step(const Event& event, base::Instant now, Actions& actions);
    std::optional<base::Instant> next_deadline() const;
    void check_invariants() const;
    void describe(base::Instant now, base::JsonWriter& out) const;

    const Lives& lives() const { return lives_; }
    const History& history() const { return history_; }
    // Nodes that may be at work behind a broken network: they are not in the group, did not leave it in good order and
    // are not known to be dead. Of a pair the other one has to be heard first: with more nodes, who was never heard is
    // in a minority.
    std::vector<base::NodeId> missing() const;
    // The life in which a member of the group announced itself; empty for nodes that are not in the group.
    std::optional<base::Uuid> current_life(base::NodeId node) const;
    // The living members and their lives; who has just joined and not spoken yet is missing.
    const std::map<base::NodeId, base::Uuid>& announced() const { return announced_; }
    bool is_in_group() const { return is_member(settings_.self); }
    bool is_quorate() const { return quorate_; }

  private:
    // After a join all are heard before anybody is shot: they may be shooting already. Who hangs is overlooked.
    static constexpr auto longest_silence = base::Duration::seconds(3);
    // Between the end of an agent and the next order of its attempt; and how often one that has to wait asks again.
    // What the group has told meanwhile has been delivered then, also to a daemon that was paused.
    static constexpr auto order_pause = base::Duration::milliseconds(200);
    // Who shoots this node and does not come to an end in this time, while something of ours waits for it, hangs.
    static constexpr auto longest_hold = base::Duration::seconds(60);
    // Whoever shoots later than it meant to was paused: others may have overlooked it. Less than longest_silence.
    static constexpr auto longest_lateness = base::Duration::seconds(1);
    // Later candidates claim when the earlier ones do not, each this much later.
    static constexpr auto turn = base::Duration::seconds(3);
    // Whoever wanted somebody dead who is back in the group is given time to say that it no longer does.
    static constexpr auto time_to_withdraw = base::Duration::seconds(3);

    struct Absence {
        base::Instant since;
        base::Instant slots_from;  // since, or a whole number of rounds later
    };
    struct Local {  // one client's request
        std::string reason;
        std::string asker;
    };
    struct Running {
        Execution execution;
        std::optional<QuestionId> question = {};  // an operator's order; else the claim of an operation
        std::uint32_t attempt = 0;
        std::vector<base::Uuid> lives = {};  // heard of before the first order: what success proves dead
        base::Instant seen = {};             // for the history
        base::Instant requested = {};
        std::string asker = {};
        std::string reason = {};
        bool has_lost_quorum = false;  // since it began
    };

    // Events.
    void on(const FenceRequested& event, base::Instant now, Actions& actions);
    void on(const FenceWithdrawn& event, base::Instant now, Actions& actions);
    void on(const ClientGone& event, base::Instant now, Actions& actions);
    void on(const MessageDelivered& event, base::Instant now, Actions& actions);
    void on(const ViewChanged& event, base::Instant now, Actions& actions);
    void on(const QuorumChanged& event, base::Instant now, Actions& actions);
    void on(const AgentFinished& event, base::Instant now, Actions& actions);
    void on(const OperatorConfirmed& event, base::Instant now, Actions& actions);
    void on(const PowerOrdered& event, base::Instant now, Actions& actions);
    void on(const AbsenceAsked& event, base::Instant now, Actions& actions);
    void on(const TimePassed& event, base::Instant now, Actions& actions);

    // Messages, in total order.
    void delivered(base::NodeId sender, const Hello& hello, base::Instant now, Actions& actions);
    void delivered(base::NodeId sender, const Request& request, base::Instant now, Actions& actions);
    void delivered(base::NodeId sender, const Withdraw& withdraw, base::Instant now, Actions& actions);
    void delivered(base::NodeId sender, const Claim& claim, base::Instant now, Actions& actions);
    void delivered(base::NodeId sender, const Decline& decline, base::Instant now, Actions& actions);
    void delivered(base::NodeId sender, const Overlook& overlook, base::Instant now, Actions& actions);
    void delivered(base::NodeId sender, const Finished& finished, base::Instant now, Actions& actions);
    void delivered(base::NodeId sender, const Facts& facts, base::Instant now, Actions& actions);
    void delivered(base::NodeId sender, const HistoryBatch& batch, base::Instant now, Actions& actions);
    void delivered(base::NodeId sender, const Marker& marker, base::Instant now, Actions& actions);

    // Membership.
    void member_left(base::NodeId node, base::Instant now);
    bool is_sender_of_facts(const base::GroupView& view) const;
    void rejoin(const base::GroupView& view, Actions& actions);
    void say_hello(Actions& actions);
    void adopt_executions(base::NodeId executor, const std::vector<ExecutedAttempt>& executing, base::Instant now);
    void answer_absence(Actions& actions);
    void overlook_the_silent(base::Instant now, Actions& actions);
    void send_facts(Actions& actions) const;
    void correct_rumours(Actions& actions);
    bool is_member(base::NodeId node) const { return members_.contains(node); }

    // Operations.
    void add_request(base::NodeId asker, const OpenRequest& request, base::Instant now);
    void let_withdraw(base::NodeId victim, Operation& operation) const;
    void remove_request(base::NodeId asker, const base::NodeIncarnation& victim);
    // That node shoots no longer, or not yet.
    void release(base::NodeId executor, Operation& operation) const;
    static void drop_requests_of(base::NodeId asker, Operation& operation);
    void settle_nil_requests(base::NodeId victim, bool only_covered, Actions& actions);
    void drop_answered_requests();
    void claim_what_is_due(base::Instant now, Actions& actions);
    void begin_what_is_due(base::Instant now, Actions& actions);
    void decline_what_has_not_begun(Actions& actions);
    std::string reason_not_to_begin(base::NodeId victim, const Operation& operation, base::Instant now) const;
    bool is_wanted(base::NodeId victim, const Operation& operation) const;
    bool waits_for_time_only(base::NodeId victim, const Operation& operation) const;
    bool has_devices(base::NodeId victim) const;
    bool is_being_shot(base::NodeId node) const;
    bool has_slots(base::NodeId victim) const { return slots_.exist() && absent_.contains(victim); }
    bool is_in_slot(base::NodeId victim, base::Instant now) const;
    base::Instant next_slot(base::NodeId victim, base::Instant earliest) const;
    base::Instant due_at(base::NodeId victim, const Operation& operation, base::Instant now) const;
    std::optional<std::int64_t> own_turn(base::NodeId victim, const Operation& operation) const;
    base::Duration delay_of(base::NodeId victim) const;

    // Attempts.
    void begin_attempt(base::NodeId victim, const Operation& operation, base::Instant now, Actions& actions);
    void launch(base::NodeId victim, Running running, base::Instant now, Actions& actions);
    void look_first(base::NodeId victim, base::Instant now, Actions& actions);
    bool looked_at(const AgentFinished& event, base::Instant now, Actions& actions);
    void regulate_orders(base::NodeId victim, Running& running, base::Instant earliest, base::Instant now);
    bool others_come_first() const;
    void note_what_is_held(base::Instant now);
    bool has_waited_long(base::Instant now) const;
    bool must_yield_to_own_shooter(base::NodeId victim) const;
    std::string reason_not_to_shoot(base::NodeId victim) const;
    std::string reason_to_give_up(base::NodeId victim, const Running& running) const;
    void describe_request(base::NodeId victim, const Operation& operation, Running& running) const;
    void tell_end(base::NodeId victim, const Running& running, base::WallTime wall, base::Instant now,
                  Actions& actions);
    void conclude(base::NodeId victim, base::WallTime wall, base::Instant now, Actions& actions);
    void attempt_ended(base::NodeId executor, const HistoryEntry& entry, base::Instant now);

    // Facts.
    void bury(const base::NodeIncarnation& life, Actions& actions);
    void apply_dead(const HistoryEntry& entry, Actions& actions);
    void record(const HistoryEntry& entry, Actions& actions);
    std::string name_of(base::NodeId node) const;
    void describe_nodes(base::JsonWriter& out) const;

    Settings settings_;
    base::NodeIncarnation self_;

    // Replicated.
    std::set<base::NodeId> members_;  // living members of the group, by the last view
    std::map<base::NodeId, base::Uuid> announced_;
    std::set<base::NodeId> unheard_;  // members that have not said Hello since the last join
    std::set<base::NodeId> silent_;   // of those: who is waited for, not yet overlooked
    std::map<base::NodeId, Operation> operations_;
    Lives lives_;
    History history_;

    // Local.
    bool quorate_ = false;
    base::Instant now_;  // of the last step
    base::Instant joined_at_;
    bool overlooked_ = false;  // since then
    ShootingSlots slots_;
    std::set<base::NodeId> left_in_order_;
    std::set<base::NodeId> heard_;                                       // have announced a life to this daemon
    std::set<base::NodeId> off_;                                         // were seen off, and have not come since
    std::map<QuestionId, bool> absence_asked_;                           // whether the marker is back
    std::map<base::NodeId, Absence> absent_;                             // nodes that were in the group and are not
    std::map<base::NodeIncarnation, std::map<ClientId, Local>> wanted_;  // by our own clients
    std::map<base::NodeId, Running> running_;
    std::optional<base::Instant> held_since_;  // others come first, and an order or a claim of ours waits for them
    std::map<base::NodeId, Running> looking_;  // status queries before anybody is shot
    std::set<base::Uuid> corrected_;           // lives of our own node that we have already declared over in this group
    RunId next_run_ = 1;
    bool own_death_reported_ = false;
};

}  // namespace fencing
