// One machine: its power, its life, its disk, its fencing daemon, and programs that ask for fences.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fencing/core/fencer.hh"
#include "tests/sim/fencing/corosync.hh"

namespace sim_fencing {

class World;

class Machine : public Corosync::Listener {
  public:
    Machine(World& world, int index, sim::Random random);

    void power_on();
    void power_off();
    bool is_on() const { return on_; }
    base::NodeId node() const { return {static_cast<std::uint32_t>(index_) + 1}; }
    const base::NodeIncarnation& life() const { return life_; }
    std::uint32_t boots() const { return boots_; }
    base::Instant last_off() const { return last_off_; }
    base::Instant last_on() const { return last_on_; }

    void start_daemon();
    // Nothing that happens reaches the daemon for so long.
    void pause_daemon(base::Duration lasts);
    void crash_daemon();
    const fencing::Fencer* daemon() const { return daemon_.get(); }

    void ask(const std::string& client, const base::NodeIncarnation& victim);
    void withdraw(const std::string& client, const base::NodeIncarnation& victim);
    using Wishes = std::map<base::NodeIncarnation, std::map<std::string, base::Instant>>;
    const Wishes& wishes() const { return wishes_; }
    void ask_for_absence();
    void confirm(base::NodeId victim);
    void order_off(base::NodeId victim);

    void on_view(const base::GroupView& view) override { step(fencing::ViewChanged{view}); }
    void on_message(const base::GroupMember& sender, const fencing::Message& message) override {
        step(fencing::MessageDelivered{sender, message});
    }
    void on_quorum(bool quorate) override { step(fencing::QuorumChanged{quorate}); }

  private:
    void step(const fencing::Event& event);
    void arm_timer();
    void carry_out(const fencing::Multicast& action);
    void carry_out(const fencing::RunAgent& action);
    void carry_out(const fencing::ReportFenced& action);
    void carry_out(const fencing::RecordHistory& action);
    void carry_out(const fencing::AnswerOperator& action) { ordered_off_.erase(action.question); }
    void carry_out(const fencing::AnswerAbsence& action);
    void carry_out(const fencing::ReportOwnDeath& action);
    void carry_out(const fencing::Note& action);
    base::WallTime wall() const;

    World& world_;
    const int index_;
    sim::Random random_;
    const base::Duration clock_error_;
    bool on_ = false;
    std::uint32_t boots_ = 0;
    base::NodeIncarnation life_;
    base::Instant last_off_;
    base::Instant last_on_;
    std::vector<fencing::HistoryEntry> disk_;
    std::unique_ptr<fencing::Fencer> daemon_;
    std::uint32_t process_ = 0;  // counts the daemons of all lives
    std::uint64_t timer_ = 0;    // the newest timer; older ones are dead
    bool stepping_ = false;
    bool paused_ = false;
    std::deque<fencing::Event> waiting_;  // what has happened meanwhile
    Wishes wishes_;
    std::map<fencing::QuestionId, base::Instant> absence_asked_;  // of this daemon
    std::map<fencing::QuestionId, base::NodeId> ordered_off_;     // by the operator, through this daemon
    fencing::QuestionId next_question_ = 10;
};

}  // namespace sim_fencing
