#include "tests/sim/dlm/node.hh"

#include <algorithm>
#include <utility>

#include "base/ensure.hh"
#include "base/probe.hh"
#include "tests/sim/common/run_seeds.hh"

namespace sim_dlm {
namespace {

using base::Duration;
using dlm::Flag;
using dlm::Mode;

constexpr std::size_t most_locks = 12;
constexpr std::uint64_t names = 8;

dlm::ValueBytes bytes_of(std::uint64_t token) {
    dlm::ValueBytes bytes{};
    base::store(base::MutableByteView(bytes), token);
    base::store(base::MutableByteView(bytes).subspan(dlm::value_block_bytes - 8), token);
    return bytes;
}

std::uint64_t token_of(const dlm::ValueBytes& bytes) {
    const auto token = base::load<std::uint64_t>(bytes);
    base::ensure(bytes == bytes_of(token), "a torn value block");
    return token;
}

std::uint64_t last_token = 0;

base::Probe probe_paused("simulated: a process is paused");
base::Probe probe_died_paused("simulated: a paused node dies");

}  // namespace

Node::Node(Surroundings& around, sim::Random random, base::NodeId id, bool quorate)
    : around_(around),
      random_(random),
      id_(id),
      forget_after_(random_.between(Duration::seconds(1), Duration::seconds(10))),
      quorate_(quorate) {}

Node::~Node() = default;

void Node::trace(const std::string& line) { around_.trace("node " + std::to_string(id_.value) + ": " + line); }

void Node::boot(bool same_life) {
    awake();
    powered_ = true;
    if (!same_life) life_ = {id_, random_.uuid()};
    session_ = random_.uuid();
    ++run_;
    self_ = {{id_, ++process_}, life_, session_, 7789};
    leaving_ = left_sent_ = false;
    lockspace_ = std::make_unique<dlm::Lockspace>(dlm::Lockspace::Settings{self_, forget_after_});
    trace("starts");
    peers_ = std::make_unique<Peers>(around_.network, id_, session_,
                                     [this](const base::Uuid& from, const dlm::PeerMessage& message) {
                                         step(dlm::PeerMessageArrived{from, message});
                                     });
    for (const auto& dead : known_fenced_) step(dlm::LifeFenced{dead});
    step(dlm::QuorumChanged{quorate_});
    around_.group.join(self_.process,
                       {[this](const base::GroupView& view) { step(dlm::ViewChanged{view}); },
                        [this](base::GroupMember sender, const base::Bytes& message) {
                            step(dlm::GroupMessageDelivered{sender, dlm::decode_group_message(message).value()});
                        }});
    ask("J" + std::to_string(id_.value), Mode::EX, {}, {});
    locks_.begin()->second.is_journal = true;
    act_sometime();
}

void Node::pause(Duration lasts) {
    if (!lockspace_ || std::exchange(paused_, true)) return;
    trace("is paused");
    probe_paused.hit();
    around_.scheduler.after(lasts, [this, run = run_] {
        if (run != run_) return;
        paused_ = false;
        while (run == run_ && !paused_ && !waiting_.empty()) {
            const auto work = std::move(waiting_.front());
            waiting_.pop_front();
            work();
        }
    });
}

void Node::awake() {
    paused_ = false;
    waiting_.clear();
}

void Node::crash() {
    trace("dies");
    if (paused_) probe_died_paused.hit();
    awake();
    powered_ = false;
    ++run_;
    if (lockspace_) around_.truth.died(session_, life_);
    lockspace_.reset();
    peers_.reset();
    locks_.clear();
    known_fenced_.clear();
    armed_.reset();
    around_.group.node_died(id_);
}

void Node::after(Duration delay, std::function<void()> work) {
    around_.scheduler.after(delay, [this, run = run_, work = std::move(work)] {
        if (run != run_ || !lockspace_) return;
        if (paused_) return waiting_.push_back(work);
        work();
    });
}

void Node::life_fenced(const base::NodeIncarnation& dead) {
    if (!powered_) return;
    known_fenced_.insert(dead);
    if (lockspace_) step(dlm::LifeFenced{dead});
}

void Node::quorum(bool quorate) {
    quorate_ = quorate;
    if (lockspace_) step(dlm::QuorumChanged{quorate});
}

void Node::step(const dlm::Event& event) {
    if (!lockspace_) return;
    if (paused_) return waiting_.push_back([this, event] { step(event); });
    dlm::Actions actions;
    lockspace_->step(event, around_.scheduler.now(), actions);
    if (random_.one_in(16)) lockspace_->check_invariants();
    const auto run = run_;
    for (auto& action : actions) {
        if (run == run_ && lockspace_) perform(action);
    }
    if (lockspace_) arm();
}

void Node::arm() {
    const auto deadline = lockspace_->next_deadline();
    if (!deadline || (armed_ && *armed_ <= *deadline)) return;
    armed_ = deadline;
    after(*deadline - around_.scheduler.now(), [this] {
        armed_.reset();
        step(dlm::TimePassed{});
    });
}

void Node::perform(dlm::Action& action) {
    if (auto* completed = std::get_if<dlm::Completed>(&action)) {
        on(*completed);
    } else if (auto* blocking = std::get_if<dlm::BlockingNotice>(&action)) {
        on(*blocking);
    } else if (auto* notice = std::get_if<dlm::NodeNotice>(&action)) {
        on(*notice);
    } else if (const auto* lost = std::get_if<dlm::Lost>(&action)) {
        throw sim::Violation("node " + std::to_string(id_.value) + " lost its lockspace: " + lost->why);
    } else if (std::holds_alternative<dlm::Left>(action)) {
        trace("left");
        around_.truth.left(session_);
        around_.group.leave(self_.process);
        peers_.reset();
        ++run_;
        armed_.reset();
        lockspace_.reset();
        around_.somebody_left();
    } else if (const auto* multicast = std::get_if<dlm::Multicast>(&action)) {
        around_.group.multicast(self_.process, dlm::encode(multicast->message));
    } else if (const auto* fence = std::get_if<dlm::RequestFence>(&action)) {
        around_.request_fence(id_, fence->life);
    } else if (const auto* withdraw = std::get_if<dlm::WithdrawFence>(&action)) {
        around_.truth.returned(session_, withdraw->life);
        around_.withdraw_fence(id_, withdraw->life);
    } else if (const auto* await = std::get_if<dlm::AwaitNobodyMissing>(&action)) {
        await_nobody_missing(await->question);
    } else if (const auto* open = std::get_if<dlm::OpenLink>(&action)) {
        peers_->open(open->peer.session);
    } else if (const auto* close = std::get_if<dlm::CloseLink>(&action)) {
        peers_->close(close->session);
    } else if (const auto* sent = std::get_if<dlm::SendToPeer>(&action)) {
        peers_->send(sent->session, sent->message);
    } else if (const auto* note = std::get_if<dlm::Note>(&action)) {
        trace(note->line);
    }
}

// The answer takes a while, and may be old when it arrives.
void Node::await_nobody_missing(std::uint64_t question) {
    after(random_.between(Duration::milliseconds(1), Duration::milliseconds(50)), [this, question] {
        if (around_.somebody_is_missing(self_.process)) return await_nobody_missing(question);
        after(random_.between(Duration{}, Duration::milliseconds(200)),
              [this, question] { step(dlm::NobodyMissing{question}); });
    });
}

// ---- the client ----------------------------------------------------------------------------------------------------
void Node::act_sometime() {
    after(random_.between(Duration::microseconds(100), Duration::milliseconds(30)), [this] {
        act();
        act_sometime();
    });
}

dlm::Flags Node::some_flags(bool conversion, Mode mode) {
    dlm::Flags flags;
    if (random_.percent(70)) flags = flags | Flag::value_block;
    if (random_.percent(15)) flags = flags | Flag::no_queue;
    if (random_.percent(10)) flags = flags | Flag::no_queue_notify;
    if (random_.percent(5)) flags = flags | Flag::head_of_queue;
    if (random_.percent(5)) flags = flags | Flag::no_order;
    if (random_.percent(5)) flags = flags | Flag::alternate_pr;
    if (random_.percent(5)) flags = flags | Flag::alternate_cw;
    if (random_.percent(3)) flags = flags | Flag::invalidate_value;
    if (conversion && random_.percent(20)) flags = flags | Flag::demote_on_deadlock;
    if (!conversion && mode == Mode::NL && random_.percent(20)) flags = flags | Flag::expedite;
    return flags;
}

void Node::act() {
    if (calm_ || leaving_) {
        // One lock a time, so that others' requests meet what is held.
        for (auto& [id, lock] : locks_) {
            if (lock.is_journal && !leaving_) continue;
            if (!lock.operation && !lock.repairs) return unlock(id);
        }
        return continue_leaving();
    }
    std::vector<dlm::LockId> mine;
    for (const auto& [id, lock] : locks_) {
        if (!lock.is_journal && !lock.repairs) mine.push_back(id);
    }
    if (mine.size() < most_locks && (mine.empty() || random_.percent(50))) {
        const auto mode = random_.percent(60) ? (random_.percent(50) ? Mode::PR : Mode::EX)
                                              : dlm::all_modes[random_.below(dlm::mode_count)];
        return ask("n" + std::to_string(random_.below(names)), mode, some_flags(false, mode), {});
    }
    auto& lock = locks_.at(random_.pick(mine));
    if (lock.operation) {
        if (random_.percent(5)) return unlock(lock.id);
        if (random_.percent(15)) cancel(lock.id);
    } else if (random_.percent(55)) {
        convert(lock);
    } else {
        unlock(lock.id);
    }
}

void Node::ask(const std::string& name, Mode mode, dlm::Flags flags, std::optional<base::NodeIncarnation> repairs) {
    const auto id = next_lock_++;
    auto& lock = locks_[id];
    lock.name = name;
    lock.id = id;
    lock.operation = next_operation_++;
    lock.requested = mode;
    lock.flags = flags;
    lock.repairs = repairs;
    trace(name + " lock " + std::to_string(id) + " asks for " + std::string(dlm::text_of(mode)) + " flags " +
          std::to_string(flags.bits));
    step(dlm::LockRequested{id, *lock.operation, name, mode, flags});
}

void Node::convert(Lock& lock) {
    const auto id = lock.id;
    const auto mode = dlm::all_modes[random_.below(dlm::mode_count)];
    const auto flags = some_flags(true, mode);
    const bool lower = dlm::is_lower_or_equal(*lock.granted, mode);
    const bool writes = dlm::value_transfer(lock.granted, mode) == dlm::ValueTransfer::write;
    const auto token = ++last_token;
    if (flags.has(Flag::value_block) && writes) around_.truth.written(lock.name, token);
    if (flags.has(Flag::invalidate_value) && writes) around_.truth.invalidated(lock.name);
    if (lower && *lock.granted != mode) around_.truth.lowered(lock.name, holder(id), mode);
    if (!lower) around_.truth.lowered(lock.name, holder(id), dlm::assured_mode(*lock.granted, mode, flags));
    lock.operation = next_operation_++;
    lock.requested = mode;
    lock.flags = flags;
    trace(lock.name + " lock " + std::to_string(id) + " converts " + std::string(dlm::text_of(*lock.granted)) + " to " +
          std::string(dlm::text_of(mode)) + " flags " + std::to_string(flags.bits));
    step(dlm::ConversionRequested{id, *lock.operation, mode, flags, bytes_of(token)});
}

void Node::unlock(dlm::LockId id) {
    const auto lock = locks_.at(id);
    auto flags = random_.percent(70) ? dlm::Flags(Flag::value_block) : dlm::Flags{};
    const auto token = ++last_token;
    if (lock.granted) {
        // While it converts, it may hold no mode any more that writes.
        if (lock.operation) flags = {};
        const bool writes = dlm::value_transfer(lock.granted, std::nullopt) == dlm::ValueTransfer::write;
        if (writes && flags.has(Flag::value_block)) around_.truth.written(lock.name, token);
        around_.truth.unlocked(lock.name, holder(id));
    }
    trace(lock.name + " lock " + std::to_string(id) + " unlocks");
    locks_.at(id).granted.reset();
    step(dlm::UnlockRequested{id, flags, bytes_of(token)});
    if (lockspace_) locks_.erase(id);
}

void Node::cancel(dlm::LockId id) { step(dlm::CancelRequested{id}); }

void Node::on(dlm::Completed& completed) {
    const auto found = locks_.find(completed.lock);
    if (found == locks_.end()) throw sim::Violation("completion of a lock that is gone");
    auto& lock = found->second;
    if (lock.operation != completed.operation) throw sim::Violation("completion of nothing, or the second of one");
    lock.operation.reset();
    trace(lock.name + " lock " + std::to_string(lock.id) + " " + std::string(dlm::text_of(completed.outcome)) + " " +
          std::string(dlm::text_of(completed.mode)) + (completed.demoted ? " demoted" : ""));
    if (completed.outcome != dlm::Outcome::granted) {
        if (!lock.granted || completed.outcome == dlm::Outcome::invalid) {
            if (!lock.granted) locks_.erase(found);
            return;
        }
        if (around_.truth.is_dead(life_)) return;
        lock.granted = completed.mode;
        around_.truth.granted(lock.name, holder(lock.id), completed.mode, true);
        return;
    }
    lock.granted = completed.mode;
    around_.truth.granted(lock.name, holder(lock.id), completed.mode, lock.flags.has(Flag::recovery));
    if (completed.value) {
        lock.token = token_of(completed.value->bytes);
        around_.truth.read(lock.name, completed.mode, lock.token, completed.value->valid);
    }
    if (lock.repairs) repair(lock.id, *lock.repairs);
}

void Node::on(dlm::BlockingNotice& notice) {
    const auto found = locks_.find(notice.lock);
    if (found == locks_.end()) return;
    if (!found->second.granted || dlm::compatible(*found->second.granted, notice.wanted)) {
        throw sim::Violation("a blocking notice to one who does not block");
    }
    if (found->second.is_journal || found->second.repairs) return;
    after(random_.between(Duration{}, Duration::milliseconds(3)), [this, id = notice.lock] {
        const auto lock = locks_.find(id);
        if (lock != locks_.end() && !lock->second.operation) unlock(id);
    });
}

void Node::on(dlm::NodeNotice& notice) {
    trace("notice: node " + std::to_string(notice.life.node.value) + " " + std::string(dlm::text_of(notice.phase)));
    if (notice.phase == dlm::NodePhase::died) around_.truth.noticed(session_, notice.life);
    if (notice.phase != dlm::NodePhase::recovered) return;
    if (!known_fenced_.contains(notice.life)) throw sim::Violation("recovered before it was fenced");
    after({}, [this, life = notice.life] {
        repair_without_journal(next_lock_, life);
        ask("J" + std::to_string(life.node.value), Mode::EX, Flag::recovery, life);
    });
}

void Node::repair(dlm::LockId id, const base::NodeIncarnation& dead) {
    around_.somebody_repairs(id_, dead.node);
    after(random_.between(Duration::milliseconds(1), Duration::milliseconds(300)),
          [this, id, dead] { release(id, dead); });
}

// The next life has its journal already: nothing was written under it by a life that never got it, or it was released
// by one whose word died with it.
void Node::repair_without_journal(dlm::LockId id, const base::NodeIncarnation& dead) {
    after(Duration::seconds(1), [this, id, dead] {
        const auto lock = locks_.find(id);
        if (lock == locks_.end()) return;
        if (lock->second.operation && around_.nobody_else_releases(dead)) return release(id, dead);
        repair_without_journal(id, dead);
    });
}

void Node::release(dlm::LockId id, const base::NodeIncarnation& dead) {
    around_.released_by[dead].insert(session_);
    around_.truth.released(dead);
    trace("has repaired what node " + std::to_string(dead.node.value) + " left");
    step(dlm::DeadReleaseRequested{dead});
    unlock(id);
}

void Node::leave() {
    if (lockspace_ && !leaving_) trace("wants to leave");
    leaving_ = true;
}

void Node::continue_leaving() {
    if (!leaving_ || left_sent_ || !locks_.empty()) return;
    left_sent_ = true;
    step(dlm::LeaveRequested{});
}

bool Node::idle() const {
    if (!lockspace_) return true;
    for (const auto& [id, lock] : locks_) {
        // Who was second to repair may wait behind the new life of the repaired node.
        if (lock.repairs && around_.released_by.contains(*lock.repairs)) continue;
        if (!lock.is_journal || lock.operation) return false;
    }
    return lockspace_->phase() == dlm::Membership::Phase::running;
}

bool Node::has_journal() const {
    return lockspace_ && std::any_of(locks_.begin(), locks_.end(),
                                     [](const auto& each) { return each.second.is_journal && each.second.granted; });
}

std::string Node::describe() const {
    if (!lockspace_) return "node " + std::to_string(id_.value) + (powered_ ? " has left" : " is off");
    base::JsonWriter json;
    lockspace_->describe(json, around_.scheduler.now(), true);
    return json.text();
}

}  // namespace sim_dlm
