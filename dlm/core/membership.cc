#include "dlm/core/membership.hh"

#include <algorithm>

#include "base/ensure.hh"
#include "base/probe.hh"

namespace dlm {
namespace {

base::Probe probe_round_started("dlm: a round of recovery begins");
base::Probe probe_buried("dlm: a dead member is buried");
base::Probe probe_group_lost("dlm: the group is lost");
base::Probe probe_lost_quorum("dlm: the quorum changes");
base::Probe probe_released_again("dlm: a release is told to who had not heard it");

bool contains_session(const std::vector<Member>& members, const base::Uuid& session) {
    return std::any_of(members.begin(), members.end(), [&](const Member& m) { return m.session == session; });
}

bool contains_process(const std::vector<base::GroupMember>& view, const base::GroupMember& process) {
    return std::find(view.begin(), view.end(), process) != view.end();
}

std::string node_text(const base::NodeIncarnation& life) { return "node " + std::to_string(life.node.value); }

}  // namespace

void Membership::on_view(const base::GroupView& view, Actions& actions) {
    if (terminal()) return;
    const bool quiet = is_quiet(view);
    view_ = view.members;
    note_vanished_leavers(view);
    if (!contains_process(view_, self_.process)) return lose("the group goes on without this process", actions);
    if (quiet) return;
    phase_ = Phase::agreeing;
    current_.reset();
    statuses_.clear();
    ready_.clear();
    if (view_.front() == self_.process) start_round(actions);
}

// Only processes went that hold nothing, and everybody has finished with them. Judged by what the group has delivered,
// so that all members judge alike.
bool Membership::is_quiet(const base::GroupView& view) const {
    if (phase_ != Phase::running || !view.joined.empty()) return false;
    for (const auto& member : members_) {
        if (!contains_process(view.members, member.process)) return false;
    }
    return true;
}

// They come back as those that were about to leave, or their lives are over.
void Membership::note_vanished_leavers(const base::GroupView& view) {
    for (const auto& gone : view.left) {
        for (const auto& leaver : leavers_) {
            if (leaver.process == gone.member && gone.reason != base::LeaveReason::leave)
                vanished_leavers_.insert(leaver);
        }
    }
    std::erase_if(vanished_leavers_, [&](const Member& member) { return contains_process(view_, member.process); });
}

void Membership::start_round(Actions& actions) {
    probe_round_started.hit();
    actions.push_back(Multicast{RoundStart{{self_.process, ++rounds_started_}}});
}

Membership::Begun Membership::on_message(base::GroupMember sender, const GroupMessage& message, Actions& actions) {
    if (terminal() || !contains_process(view_, sender)) return {};
    if (const auto* start = std::get_if<RoundStart>(&message)) on_start(*start, actions);
    if (const auto* status = std::get_if<MemberStatus>(&message)) on_status(sender, *status, actions);
    if (const auto* ready = std::get_if<Ready>(&message)) return on_ready(sender, *ready);
    if (const auto* resumed = std::get_if<Resumed>(&message)) on_resumed(sender, *resumed, actions);
    if (const auto* release = std::get_if<ReleaseDead>(&message)) on_release(release->life);
    return {};
}

void Membership::on_start(const RoundStart& start, Actions& actions) {
    phase_ = Phase::agreeing;
    current_ = start.round;
    statuses_.clear();
    ready_.clear();
    released_since_start_.clear();
    actions.push_back(Multicast{status()});
}

MemberStatus Membership::status() const {
    MemberStatus status{*current_, self_, leaving_, round_.generation, completed_, members_, dead_, {}};
    // As long as a generation is not completed, those who leave with it have not handed over what they master.
    if (completed_ < round_.generation) status.known.insert(status.known.end(), leavers_.begin(), leavers_.end());
    // Only what can concern a member of this view: its machine's earlier lives.
    for (const auto& life : fenced_) {
        const auto of_that_node = [&](const base::GroupMember& m) { return m.node == life.node; };
        if (status.fenced.size() < max_members && std::any_of(view_.begin(), view_.end(), of_that_node)) {
            status.fenced.push_back(life);
        }
    }
    return status;
}

void Membership::on_status(base::GroupMember sender, const MemberStatus& status, Actions& actions) {
    if (phase_ != Phase::agreeing || !current_ || status.round != *current_ || status.self.process != sender) return;
    statuses_[sender] = status;
    if (statuses_.size() == view_.size()) agree(actions);
}

// False: somebody of this view must go first; the next view starts another round.
bool Membership::everybody_may_take_part(Actions& actions) {
    std::set<base::NodeIncarnation> certified;
    for (const auto& [process, status] : statuses_) certified.insert(status.fenced.begin(), status.fenced.end());
    std::map<base::NodeId, const MemberStatus*> of_node;
    bool all = true;
    for (const auto& [process, status] : statuses_) {
        const bool is_self = process == self_.process;
        if (certified.contains(status.self.life)) {
            all = false;
            if (is_self) lose("this node is known to be dead; it must restart", actions);
        }
        // Two processes of one node: the one that came later has no generation yet.
        auto& first = of_node[process.node];
        if (first == nullptr) {
            first = &status;
            continue;
        }
        all = false;
        const bool this_is_later = status.generation == 0;
        const auto& later = this_is_later ? status : *first;
        // A dead process of the same life is no member of this view; its successor waits for the fence.
        if (later.self.process == self_.process && !terminal()) {
            lose("another process of this node is in the lockspace", actions);
        }
        if (this_is_later) continue;
        first = &status;
    }
    return all;
}

std::vector<Member> Membership::find_dead() const {
    std::set<base::Uuid> present;
    for (const auto& [process, status] : statuses_) present.insert(status.self.session);
    std::vector<Member> dead;
    const auto consider = [&](const Member& member) {
        if (present.contains(member.session) || released_since_start_.contains(member.life)) return;
        if (!contains_session(dead, member.session)) dead.push_back(member);
    };
    for (const auto& [process, status] : statuses_) {
        std::for_each(status.known.begin(), status.known.end(), consider);
        std::for_each(status.dead.begin(), status.dead.end(), consider);
    }
    std::sort(dead.begin(), dead.end());
    return dead;
}

void Membership::agree(Actions& actions) {
    if (!everybody_may_take_part(actions)) return;
    Round next;
    members_.clear();
    leavers_.clear();
    for (const auto& [process, status] : statuses_) {
        next.generation = std::max(next.generation, status.generation);
        // The others heard the last Resumed before they lost sight of this node, which had sent its own.
        if (status.completed == finished_) completed_ = std::max(completed_, finished_);
        next.participants.push_back(status.self);
    }
    const auto dead = find_dead();
    for (const auto& [process, status] : statuses_) {
        (status.leaving ? leavers_ : members_).push_back(status.self);
        if (!status.leaving) next.masters.push_back(process.node);
    }
    ++next.generation;
    round_ = std::move(next);
    resumed_.clear();
    bury(dead, actions);
    tell_released_again(actions);
    somebody_may_be_missing_ =
        std::all_of(statuses_.begin(), statuses_.end(), [](const auto& each) { return each.second.completed == 0; });
    if (somebody_may_be_missing_) actions.push_back(AwaitNobodyMissing{++question_});
    phase_ = Phase::waiting;
    become_ready(actions);
}

void Membership::bury(const std::vector<Member>& dead, Actions& actions) {
    probe_buried.hit();
    const auto before = std::exchange(dead_, dead);
    for (const auto& member : before) {
        const auto same_life = [&](const Member& other) { return other.life == member.life; };
        if (std::any_of(dead_.begin(), dead_.end(), same_life)) continue;
        if (!is_fenced(member.life)) actions.push_back(WithdrawFence{member.life});
    }
    for (const auto& member : dead_) {
        if (contains_session(before, member.session)) continue;
        actions.push_back(Note{node_text(member.life) + " is gone; waiting until it is certified dead"});
        actions.push_back(NodeNotice{member.life, NodePhase::died});
        if (is_fenced(member.life)) {
            actions.push_back(NodeNotice{member.life, NodePhase::fenced});
        } else {
            actions.push_back(RequestFence{member.life});
        }
    }
}

// A release reaches only those who are in sight of its sender, and nobody repairs a second time: whoever has heard it
// tells who has not. Before its Ready, so that no rebuild begins with a life that one of the members knows as released.
void Membership::tell_released_again(Actions& actions) {
    for (const auto& member : dead_) {
        if (!released_.contains(member.life)) continue;
        probe_released_again.hit();
        actions.push_back(Multicast{ReleaseDead{member.life}});
    }
}

void Membership::become_ready(Actions& actions) {
    const bool last_ones_leave = round_.masters.empty();
    if (phase_ != Phase::waiting) return;
    if (!last_ones_leave && (!quorate_ || somebody_may_be_missing_)) return;
    for (const auto& member : dead_) {
        if (!is_fenced(member.life)) return;
    }
    // A participant that is certified dead will leave the view: that starts another round.
    for (const auto& member : round_.participants) {
        if (is_fenced(member.life)) return;
    }
    if (last_ones_leave) return finish_leaving(actions);
    phase_ = Phase::ready;
    actions.push_back(Multicast{Ready{*current_, round_.generation}});
}

Membership::Begun Membership::on_ready(base::GroupMember sender, const Ready& ready) {
    if (!current_ || ready.round != *current_ || ready.generation != round_.generation) return {};
    ready_.insert(sender);
    if (phase_ != Phase::ready || ready_.size() != round_.participants.size()) return {};
    phase_ = Phase::rebuilding;
    return round_;
}

void Membership::rebuild_finished(Actions& actions) {
    base::ensure(phase_ == Phase::rebuilding, "a rebuild ended that had not begun");
    phase_ = Phase::resuming;
    finished_ = round_.generation;
    actions.push_back(Multicast{Resumed{round_.generation}});
}

void Membership::on_resumed(base::GroupMember sender, const Resumed& resumed, Actions& actions) {
    if (resumed.generation != round_.generation) return;
    if (phase_ != Phase::rebuilding && phase_ != Phase::resuming) return;
    resumed_.insert(sender);
    if (phase_ == Phase::resuming && resumed_.size() == round_.participants.size()) resume(actions);
}

void Membership::resume(Actions& actions) {
    phase_ = Phase::running;
    has_run_ = true;
    completed_ = round_.generation;
    for (const auto& member : members_) {
        if (member != self_ && told_joined_.insert(member.session).second) {
            actions.push_back(NodeNotice{member.life, NodePhase::joined});
        }
    }
    for (const auto& member : leavers_) {
        if (member != self_) actions.push_back(NodeNotice{member.life, NodePhase::left});
    }
    tell_recovered(actions);
    // Not when the wish came during this round: the others then count on us until the next one.
    if (std::find(leavers_.begin(), leavers_.end(), self_) != leavers_.end()) finish_leaving(actions);
}

// Whoever was told of a death is told of its end, although another one's client may have been faster.
void Membership::tell_recovered(Actions& actions) {
    const auto tell = [&](const Member& member) {
        if (!is_fenced(member.life)) return false;
        if (told_recovered_.insert(member.session).second) {
            actions.push_back(NodeNotice{member.life, NodePhase::recovered});
        }
        return true;
    };
    std::for_each(dead_.begin(), dead_.end(), tell);
    std::erase_if(released_early_, tell);
}

void Membership::on_release(const base::NodeIncarnation& life) {
    released_.insert(life);
    released_since_start_.insert(life);
    for (const auto& member : dead_) {
        if (member.life == life) released_early_.insert(member);
    }
    std::erase_if(dead_, [&](const Member& member) { return member.life == life; });
}

void Membership::on_fenced(const base::NodeIncarnation& life, Actions& actions) {
    if (terminal()) return;
    if (!fenced_.insert(life).second) return;
    if (life == self_.life) return lose("this node was fenced", actions);
    for (const auto& member : dead_) {
        if (member.life != life) continue;
        actions.push_back(NodeNotice{life, NodePhase::fenced});
        break;
    }
    become_ready(actions);
}

void Membership::on_nobody_missing(std::uint64_t question, Actions& actions) {
    if (terminal() || question != question_) return;
    somebody_may_be_missing_ = false;
    become_ready(actions);
}

void Membership::on_quorum(bool quorate, Actions& actions) {
    probe_lost_quorum.hit();
    quorate_ = quorate;
    if (!terminal()) become_ready(actions);
}

void Membership::on_group_lost(Actions& actions) {
    probe_group_lost.hit();
    if (!terminal()) lose("the connection to Corosync is lost", actions);
}

void Membership::on_secret_refused(const std::string& why, Actions& actions) {
    if (!terminal() && !has_run_) lose(why, actions);
}

void Membership::leave(Actions& actions) {
    if (terminal() || leaving_) return;
    leaving_ = true;
    if (phase_ == Phase::outside) return finish_leaving(actions);
    start_round(actions);
}

void Membership::finish_leaving(Actions& actions) {
    phase_ = Phase::left;
    actions.push_back(Left{});
}

void Membership::lose(std::string why, Actions& actions) {
    phase_ = Phase::lost;
    actions.push_back(Lost{std::move(why)});
}

std::set<Member> Membership::linked() const {
    std::set<Member> all(round_.participants.begin(), round_.participants.end());
    for (const auto& member : dead_) {
        if (!is_fenced(member.life)) all.insert(member);
    }
    for (const auto& member : vanished_leavers_) {
        if (!is_fenced(member.life)) all.insert(member);
    }
    all.erase(self_);
    return all;
}

void Membership::check_invariants() const {
    base::ensure(std::is_sorted(round_.masters.begin(), round_.masters.end()), "masters are not sorted");
    if (phase_ != Phase::rebuilding && phase_ != Phase::running) return;
    for (const auto& member : dead_) base::ensure(is_fenced(member.life), "recovery of a life that is not certified");
}

std::string_view text_of(Membership::Phase phase) {
    switch (phase) {
        case Membership::Phase::outside:
            return "outside";
        case Membership::Phase::agreeing:
            return "agreeing";
        case Membership::Phase::waiting:
            return "waiting";
        case Membership::Phase::ready:
            return "ready";
        case Membership::Phase::rebuilding:
            return "rebuilding";
        case Membership::Phase::resuming:
            return "resuming";
        case Membership::Phase::running:
            return "running";
        case Membership::Phase::left:
            return "left";
        case Membership::Phase::lost:
            return "lost";
    }
    return "";
}

std::string_view text_of(NodePhase phase) {
    switch (phase) {
        case NodePhase::joined:
            return "joined";
        case NodePhase::left:
            return "left";
        case NodePhase::died:
            return "died";
        case NodePhase::fenced:
            return "fenced";
        case NodePhase::recovered:
            return "recovered";
    }
    return "";
}

std::string Membership::waits_for() const {
    std::string text;
    const auto add = [&](const std::string& what) { text += (text.empty() ? "" : ", ") + what; };
    if (phase_ == Phase::agreeing) {
        for (const auto& process : view_) {
            if (!statuses_.contains(process)) add("the status of node " + std::to_string(process.node.value));
        }
        if (text.empty()) add("a node to leave the group");
    } else if (phase_ == Phase::waiting) {
        for (const auto& member : dead_) {
            if (!is_fenced(member.life)) add("the fence of " + node_text(member.life));
        }
        if (somebody_may_be_missing_) add("every other node to be in sight or known to be dead");
        for (const auto& member : round_.participants) {
            if (is_fenced(member.life)) add(node_text(member.life) + " to leave the group");
        }
        if (!quorate_) add("quorum");
    } else if (phase_ == Phase::ready) {
        for (const auto& member : round_.participants) {
            if (!ready_.contains(member.process)) add(node_text(member.life) + " to be ready");
        }
    } else if (phase_ == Phase::resuming) {
        for (const auto& member : round_.participants) {
            if (!resumed_.contains(member.process)) add(node_text(member.life) + " to resume");
        }
    } else if (phase_ == Phase::running && !quorate_) {
        add("quorum");
    }
    return text;
}

void Membership::describe(base::JsonWriter& json) const {
    json.begin_object().member("phase", text_of(phase_)).member("generation", round_.generation);
    json.member("waits_for", waits_for()).member("quorate", quorate_);
    json.key("members").begin_array();
    for (const auto& member : members_) json.value(member.process.node.value);
    json.end_array().key("dead").begin_array();
    for (const auto& member : dead_) {
        json.begin_object().member("node", member.life.node.value);
        json.member("life", member.life.incarnation.text());
        json.member("state",
                    is_fenced(member.life) ? (phase_ == Phase::running ? "repair" : "fenced") : "wait fencing");
        json.end_object();
    }
    json.end_array().end_object();
}

}  // namespace dlm
