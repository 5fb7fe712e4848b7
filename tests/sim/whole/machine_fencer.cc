// The fencing daemon, and its clients as they meet it (fencing/driver/fence_client).
#include "tests/sim/common/run_seeds.hh"
#include "tests/sim/whole/machine.hh"
#include "tests/sim/whole/world.hh"

namespace sim_whole {

namespace {

base::WallTime wall(base::Instant now) { return {1'700'000'000'000'000'000 + now.nanoseconds}; }

}  // namespace

void Machine::start_fencer() {
    auto settings = world_.fencing_settings();
    settings.self = life_.node;
    fencer_ = std::make_unique<fencing::Fencer>(std::move(settings), life_.incarnation, fence_history_);
    const base::GroupMember process{life_.node, static_cast<std::uint32_t>(run_ + 500)};
    join(world_.fence_group(), process,
         {[this](const base::GroupView& view) { step(fencing::Event(fencing::ViewChanged{view})); },
          [this](base::GroupMember sender, const base::Bytes& message) {
              step(fencing::Event(fencing::MessageDelivered{sender, fencing::decode(message).value()}));
          }});
}

// Corosync lets a process join when the ring stands.
void Machine::join(sim_dlm::Group& group, base::GroupMember who, sim_dlm::Group::Member member) {
    if (world_.rings_stand()) {
        return group.join(who, {[this, member](const base::GroupView& view) {
                                    when_awake([member, view] { member.view_changed(view); });
                                },
                                [this, member](base::GroupMember sender, const base::Bytes& message) {
                                    when_awake([member, sender, message] { member.delivered(sender, message); });
                                }});
    }
    later(base::Duration::milliseconds(10),
          [this, &group, who, member = std::move(member)] { join(group, who, member); });
}

void Machine::step(const fencing::Event& event) {
    if (!powered()) return;
    fencing::Actions actions;
    fencer_->step(event, world_.scheduler().now(), actions);
    if (world_.random().one_in(16)) fencer_->check_invariants();
    arm_fencer();
    for (const auto& action : actions) {
        if (powered()) perform(action);
    }
}

void Machine::arm_fencer() {
    const auto deadline = fencer_->next_deadline();
    if (!deadline || (fencer_armed_ && *fencer_armed_ <= *deadline)) return;
    fencer_armed_ = deadline;
    later(std::max(*deadline - world_.scheduler().now(), base::Duration::microseconds(1)), [this] {
        fencer_armed_.reset();
        step(fencing::Event(fencing::TimePassed{wall(world_.scheduler().now())}));
    });
}

void Machine::perform(const fencing::Action& action) {
    if (const auto* multicast = std::get_if<fencing::Multicast>(&action)) {
        world_.fence_group().multicast({life_.node, static_cast<std::uint32_t>(run_ + 500)},
                                       fencing::encode(multicast->message).value());
    } else if (const auto* agent = std::get_if<fencing::RunAgent>(&action)) {
        run_agent(*agent);
    } else if (const auto* report = std::get_if<fencing::ReportFenced>(&action)) {
        world_.check_dead(report->dead);
        later(some(100, 20000), [this, dead = report->dead] { fenced(dead); });
    } else if (const auto* entry = std::get_if<fencing::RecordHistory>(&action)) {
        fence_history_.push_back(entry->entry);
    } else if (std::holds_alternative<fencing::ReportOwnDeath>(action)) {
        throw sim::Violation("a living machine is held for dead: node " + std::to_string(life_.node.value));
    } else if (const auto* answer = std::get_if<fencing::AnswerAbsence>(&action)) {
        later(some(100, 20000),
              [this, question = answer->question] { step(dlm::Event(dlm::NobodyMissing{question})); });
    } else if (const auto* note = std::get_if<fencing::Note>(&action)) {
        world_.say(std::string(index_ == 0 ? "a" : "b") + " fencing: " + note->line);
    }
}

// An order that has left this machine takes effect also when the machine is shot meanwhile.
void Machine::run_agent(const fencing::RunAgent& action) {
    world_.fence_device(action.device)
        .run(
            action.action, [](std::optional<int>) { return true; },
            [this, boot = run_, run = action.run](sim_fencing::Device::End end) {
                if (!powered() || run_ != boot) return;
                when_awake([this, run, end] {
                    step(fencing::Event(
                        fencing::AgentFinished{run, end.exit, end.code, "", wall(world_.scheduler().now())}));
                });
            });
}

void Machine::ask_for_fence(const std::string& program, const base::NodeIncarnation& victim) {
    world_.say(std::string("node ") + (index_ == 0 ? "a" : "b") + ": " + program + " asks for the fence of node " +
               std::to_string(victim.node.value));
    if (fencer_->lives().is_dead(victim)) return later(some(100, 1000), [this, victim] { fenced(victim); });
    wishes_.insert({victim, program});
    later(some(20, 2000), [this, program, victim] {
        if (wishes_.contains({victim, program})) {
            step(fencing::Event(fencing::FenceRequested{program, victim, "lost", program}));
        }
    });
}

void Machine::withdraw_fence(const std::string& program, const base::NodeIncarnation& victim) {
    if (wishes_.erase({victim, program}) == 0) return;
    step(fencing::Event(fencing::FenceWithdrawn{program, victim}));
}

void Machine::await_nobody_missing(std::uint64_t question) {
    later(some(20, 2000), [this, question] { step(fencing::Event(fencing::AbsenceAsked{question})); });
}

void Machine::fenced(const base::NodeIncarnation& dead) {
    std::erase_if(wishes_, [&](const auto& wish) { return wish.first == dead; });
    step(blockrep::Event(blockrep::PeerFenced{dead}));
    step(dlm::Event(dlm::LifeFenced{dead}));
}

}  // namespace sim_whole
