#include "tests/sim/posix_locks/node.hh"

#include <algorithm>

#include "tests/sim/common/run_seeds.hh"

namespace sim_posix_locks {

using base::Duration;
using clusterfs::AdvisoryActions;
using clusterfs::AdvisoryKind;
using clusterfs::AdvisoryMode;
using clusterfs::AdvisoryOutcome;
using clusterfs::AdvisoryRequest;

namespace {

constexpr std::size_t program_count = 2;
constexpr int inodes = 2;
const Duration patience = Duration::seconds(3);

const char* name_of(AdvisoryMode mode) {
    if (mode == AdvisoryMode::unlock) return "unlock";
    return mode == AdvisoryMode::shared ? "shared" : "exclusive";
}

std::string text(std::size_t program, const AdvisoryRequest& request) {
    return "program " + std::to_string(program) + " asks (" + std::to_string(request.id) + ") " +
           name_of(request.mode) + (request.kind == AdvisoryKind::flock ? " flock" : " range") + " of " +
           std::to_string(request.inode) + ": " + std::to_string(request.first) + " to " + std::to_string(request.last);
}

}  // namespace

void Node::trace(const std::string& line) { around_.trace("node " + std::to_string(id_.value) + ": " + line); }

void Node::after(Duration delay, std::function<void()> work) {
    around_.scheduler.after(delay, [this, run = run_, work = std::move(work)] {
        if (run == run_ && locks_) work();
    });
}

void Node::start() {
    // What the one before had sent and the group had not yet delivered would be taken for the new one's.
    if (member_.process == 0 || undelivered_ > 0 || random_.one_in(2)) ++member_.process;
    member_.node = id_;
    around_.truth.over(life_);  // no process of it is left
    life_ = {id_, random_.uuid()};
    around_.lives[member_] = life_;
    forget();
    locks_ = std::make_unique<clusterfs::PosixLocks>(life_);
    programs_.resize(program_count);
    trace("starts as process " + std::to_string(member_.process));
    around_.group.join(member_,
                       {[this](const base::GroupView& view) { view_changed(view); },
                        [this](base::GroupMember sender, const base::Bytes& message) {
                            if (sender == member_ && undelivered_ > 0) --undelivered_;
                            step([&](AdvisoryActions& actions) { locks_->on_message(sender, message, actions); });
                        }});
}

void Node::forget() {
    ++run_;
    locks_.reset();
    programs_.clear();
    view_.clear();
    seen_.clear();
    missed_.clear();
    told_over_.clear();
    certified_.clear();
    undelivered_ = 0;
    next_request_ = 1;
    used_ = false;
}

void Node::use() {
    if (std::exchange(used_, true)) return;
    trace("is used");
    for (std::size_t i = 0; i < programs_.size(); ++i) act(i);
}

void Node::crash() {
    trace("loses power");
    powered_ = false;
    const auto undelivered = undelivered_;
    forget();
    undelivered_ = undelivered;
    around_.group.node_died(id_);
}

void Node::end_process(bool orderly) {
    trace(orderly ? "leaves" : "its process ends");
    around_.truth.over(life_);
    forget();
    if (orderly) return around_.group.leave(member_);
    around_.group.process_died(member_);
}

void Node::view_changed(const base::GroupView& view) {
    std::string line = "sees";
    for (const auto& member : view.members) {
        line += " " + std::to_string(member.node.value) + "." + std::to_string(member.process);
    }
    trace(line);
    for (const auto& left : view.left) {
        const auto found = seen_.find(left.member);
        if (found == seen_.end()) continue;
        if (left.reason != base::LeaveReason::leave) missed_.insert(found->second);
        seen_.erase(found);
    }
    view_ = view.members;
    std::erase_if(seen_, [&](const auto& each) {
        if (std::find(view_.begin(), view_.end(), each.first) != view_.end()) return false;
        missed_.insert(each.second);
        return true;
    });
    for (const auto& member : view_) {
        missed_.erase(seen_.try_emplace(member, around_.lives.at(member)).first->second);
    }
    step([&](AdvisoryActions& actions) { locks_->on_view(member_, view, actions); });
    tell_certified();
}

template <typename Call>
void Node::step(Call call) {
    if (!locks_) return;
    AdvisoryActions actions;
    call(actions);
    for (const auto& action : actions) {
        if (const auto* multicast = std::get_if<clusterfs::MulticastBytes>(&action)) {
            ++undelivered_;
            around_.group.multicast(member_, multicast->bytes);
        } else {
            answered(std::get<clusterfs::AnswerAdvisory>(action));
        }
    }
    locks_->check_invariants();
    around_.truth.check(life_, member_, locks_->table());
}

void Node::learn_missed(const std::set<base::NodeIncarnation>& by_another) {
    for (const auto& life : by_another) {
        const bool is_here =
            std::any_of(seen_.begin(), seen_.end(), [&](const auto& each) { return each.second == life; });
        if (!is_here && !told_over_.contains(life)) missed_.insert(life);
    }
}

void Node::life_over(const base::NodeIncarnation& dead) {
    missed_.erase(dead);
    told_over_.insert(dead);
    certified_.push_back(dead);
    tell_certified();
}

// A lockspace that is in use goes on, and says so, when all whom it has lost are over (dlm, `recovered`).
void Node::tell_certified() {
    if (used_ && !missed_.empty()) return;
    for (const auto& dead : std::exchange(certified_, {})) {
        step([&](AdvisoryActions& actions) { locks_->on_fenced(dead, actions); });
    }
}

void Node::act(std::size_t program) {
    after(random_.between(Duration::milliseconds(1), Duration::milliseconds(400)), [this, program] {
        if (programs_[program].asked == 0) return ask(program);
    });
}

// In the end everything is unlocked, one thing after the other.
AdvisoryRequest Node::choose(std::size_t program) {
    auto& asker = programs_[program];
    AdvisoryRequest request;
    request.id = next_request_++;
    request.owner.id = program + 1;
    request.pid = 1;
    if (calm_) {
        request.kind = asker.unlocked % 2 == 0 ? AdvisoryKind::flock : AdvisoryKind::range;
        request.inode = static_cast<clusterfs::InodeNumber>(1 + asker.unlocked / 2);
        ++asker.unlocked;
        return request;
    }
    request.kind = random_.one_in(3) ? AdvisoryKind::flock : AdvisoryKind::range;
    request.mode = static_cast<AdvisoryMode>(random_.below(3));
    request.wait = random_.one_in(2);
    request.inode = 1 + random_.below(inodes);
    if (request.kind == AdvisoryKind::flock) return request;
    request.first = random_.below(file_size);
    request.last = request.first + random_.below(file_size - request.first);
    return request;
}

void Node::ask(std::size_t program) {
    auto& asker = programs_[program];
    if (asker.unlocked == 2 * inodes) return;
    asker.request = choose(program);
    asker.is_test = !calm_ && random_.one_in(10);
    asker.asked = asker.request.id;
    trace(text(program, asker.request));
    if (!asker.is_test) around_.truth.asked({life_, program + 1}, asker.request);
    const auto request = asker.request;
    // Who waits too long is interrupted.
    if (request.mode != AdvisoryMode::unlock && !asker.is_test) {
        after(random_.between(Duration::milliseconds(1), patience), [this, program, id = request.id] {
            if (programs_[program].asked != id) return;
            trace("request " + std::to_string(id) + " is cancelled");
            step([&](AdvisoryActions& actions) { locks_->cancel(id, actions); });
        });
    }
    step([&](AdvisoryActions& actions) {
        if (asker.is_test) return locks_->test(request, actions);
        locks_->request(request, actions);
    });
}

void Node::answered(const clusterfs::AnswerAdvisory& answer) {
    for (std::size_t i = 0; i < programs_.size(); ++i) {
        auto& asker = programs_[i];
        if (asker.asked != answer.id) continue;
        trace("request " + std::to_string(answer.id) + ": " +
              (answer.outcome == AdvisoryOutcome::granted ? "granted" : "not granted"));
        asker.asked = 0;
        act(i);
        if (asker.is_test) return;
        if (answer.outcome == AdvisoryOutcome::granted) return around_.truth.granted({life_, i + 1}, asker.request);
        if (asker.request.mode == AdvisoryMode::unlock) throw sim::Violation("an unlock was refused");
        return;
    }
    throw sim::Violation("an answer to nobody");
}

bool Node::idle() const {
    return used_ && locks_->synchronized() && locks_->table().empty() &&
           std::all_of(programs_.begin(), programs_.end(),
                       [](const auto& each) { return each.asked == 0 && each.unlocked == 2 * inodes; });
}

std::string Node::describe() const {
    if (!locks_) return "node " + std::to_string(id_.value) + ": no mount";
    base::JsonWriter json;
    locks_->describe(json);
    std::string asked;
    for (const auto& each : programs_) asked += " " + std::to_string(each.asked);
    return "node " + std::to_string(id_.value) + (used_ ? "" : " (never used)") + ": " + json.text() +
           " asked:" + asked;
}

}  // namespace sim_posix_locks
