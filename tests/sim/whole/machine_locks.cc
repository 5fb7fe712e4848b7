// The lockspace, and locks as the mount names them (what clusterfs/driver/dlm_lock_service does).
#include "tests/sim/common/run_seeds.hh"
#include "tests/sim/whole/machine.hh"
#include "tests/sim/whole/world.hh"

namespace sim_whole {

using clusterfs::LockMode;
using clusterfs::LockName;

namespace {

dlm::Mode to_mode(LockMode mode) {
    return mode == LockMode::none ? dlm::Mode::NL : mode == LockMode::shared ? dlm::Mode::PR : dlm::Mode::EX;
}

LockMode from_mode(dlm::Mode mode) {
    if (mode == dlm::Mode::EX || mode == dlm::Mode::PW) return LockMode::exclusive;
    return mode == dlm::Mode::PR ? LockMode::shared : LockMode::none;
}

}  // namespace

void Machine::start_lockspace() {
    const auto session = world_.random().uuid();
    met_.clear();
    self_ = {{life_.node, static_cast<std::uint32_t>(run_ + 100)}, life_, session, 7789};
    lockspace_ = std::make_unique<dlm::Lockspace>(dlm::Lockspace::Settings{self_, base::Duration::seconds(10)});
    peers_ = std::make_unique<sim_dlm::Peers>(world_.network(), life_.node, session,
                                              [this](const base::Uuid& from, const dlm::PeerMessage& message) {
                                                  when_awake([this, from, message, session = self_.session] {
                                                      if (!lockspace_ || self_.session != session) return;
                                                      step(dlm::Event(dlm::PeerMessageArrived{from, message}));
                                                  });
                                              });
    for (const auto& dead : fencer_->lives().dead()) step(dlm::Event(dlm::LifeFenced{dead}));
    step(dlm::Event(dlm::QuorumChanged{quorate_}));
    join(world_.group(), self_.process,
         {[this](const base::GroupView& view) { step(dlm::Event(dlm::ViewChanged{view})); },
          [this](base::GroupMember sender, const base::Bytes& message) {
              step(dlm::Event(dlm::GroupMessageDelivered{sender, dlm::decode_group_message(message).value()}));
          }});
}

void Machine::become_quorate() {
    quorate_ = true;
    step(fencing::Event(fencing::QuorumChanged{true}));
    step(dlm::Event(dlm::QuorumChanged{true}));
}

void Machine::step(const dlm::Event& event) {
    if (!lockspace_) return;
    dlm::Actions actions;
    lockspace_->step(event, world_.scheduler().now(), actions);
    if (world_.random().one_in(16)) lockspace_->check_invariants();
    arm_lockspace();
    for (auto& action : actions) {
        if (lockspace_) perform(action);
    }
}

void Machine::arm_lockspace() {
    const auto deadline = lockspace_->next_deadline();
    if (!deadline || (lockspace_armed_ && *lockspace_armed_ <= *deadline)) return;
    lockspace_armed_ = deadline;
    later(*deadline - world_.scheduler().now(), [this] {
        lockspace_armed_.reset();
        step(dlm::Event(dlm::TimePassed{}));
    });
}

void Machine::perform(dlm::Action& action) {
    if (auto* completed = std::get_if<dlm::Completed>(&action)) {
        later({}, [this, answer = *completed] { lock_completed(answer); });
    } else if (auto* blocking = std::get_if<dlm::BlockingNotice>(&action)) {
        later({}, [this, notice = *blocking] { lock_wanted(notice); });
    } else if (auto* notice = std::get_if<dlm::NodeNotice>(&action)) {
        met_.insert(notice->life);
        if (notice->phase == dlm::NodePhase::recovered) {
            later({}, [this, life = notice->life] { happened(clusterfs::NodeDied{life}); });
        }
    } else if (auto* lost = std::get_if<dlm::Lost>(&action)) {
        throw sim::Violation("a lockspace was lost: " + lost->why);
    } else if (std::holds_alternative<dlm::Left>(action)) {
        world_.group().leave(self_.process);
        later({}, [this] {
            peers_.reset();
            lockspace_.reset();
            mount_.reset();
            step(blockrep::ClientClosed{});
            world_.unmounted(index_);
        });
    } else if (auto* multicast = std::get_if<dlm::Multicast>(&action)) {
        world_.group().multicast(self_.process, dlm::encode(multicast->message));
    } else if (auto* fence = std::get_if<dlm::RequestFence>(&action)) {
        ask_for_fence("dlm", fence->life);
    } else if (auto* withdraw = std::get_if<dlm::WithdrawFence>(&action)) {
        withdraw_fence("dlm", withdraw->life);
    } else if (auto* await = std::get_if<dlm::AwaitNobodyMissing>(&action)) {
        await_nobody_missing(await->question);
    } else if (auto* open = std::get_if<dlm::OpenLink>(&action)) {
        peers_->open(open->peer.session);
    } else if (auto* close = std::get_if<dlm::CloseLink>(&action)) {
        peers_->close(close->session);
    } else if (auto* sent = std::get_if<dlm::SendToPeer>(&action)) {
        peers_->send(sent->session, sent->message);
    } else if (auto* note = std::get_if<dlm::Note>(&action)) {
        world_.say(std::string(index_ == 0 ? "a" : "b") + " dlm: " + note->line);
    }
}

void Machine::request_lock(const clusterfs::RequestLock& request) {
    dlm::Flags flags;
    if (request.no_queue) flags = flags | dlm::Flag::no_queue;
    if (request.recovery) flags = flags | dlm::Flag::recovery;
    auto& held = held_[request.name];
    held.pending = true;
    if (held.granted) {
        return step(dlm::Event(
            dlm::ConversionRequested{held.id, next_operation_++, to_mode(request.mode), flags, dlm::ValueBytes{}}));
    }
    held.id = next_lock_++;
    names_[held.id] = request.name;
    step(dlm::Event(dlm::LockRequested{held.id, next_operation_++, request.name.text(), to_mode(request.mode), flags}));
}

void Machine::lock_completed(const dlm::Completed& completed) {
    const auto known = names_.find(completed.lock);
    if (known == names_.end()) return;  // released meanwhile
    const auto name = known->second;
    auto& held = held_.at(name);
    held.pending = false;
    const bool granted = completed.outcome == dlm::Outcome::granted;
    if (granted) held.granted = true;
    if (!held.granted) {
        names_.erase(known);
        held_.erase(name);
    }
    if (granted) return happened(clusterfs::LockGranted{name, from_mode(completed.mode)});
    happened(clusterfs::LockRefused{name});
}

void Machine::lock_wanted(const dlm::BlockingNotice& notice) {
    const auto known = names_.find(notice.lock);
    if (known != names_.end()) happened(clusterfs::LockWanted{known->second, from_mode(notice.wanted)});
}

void Machine::release_lock(const clusterfs::ReleaseLock& release) {
    const auto found = held_.find(release.name);
    if (found == held_.end()) return;
    const auto id = found->second.id;
    if (release.keep != LockMode::none && found->second.granted) {
        if (found->second.pending) step(dlm::Event(dlm::CancelRequested{id}));
        return step(
            dlm::Event(dlm::ConversionRequested{id, next_operation_++, to_mode(release.keep), {}, dlm::ValueBytes{}}));
    }
    names_.erase(id);
    held_.erase(found);
    step(dlm::Event(dlm::UnlockRequested{id, {}, dlm::ValueBytes{}}));
}

}  // namespace sim_whole
