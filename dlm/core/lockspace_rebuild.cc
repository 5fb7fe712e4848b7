// A new generation: masters forget, owners tell, orphans get new masters, the dead are judged.
#include <algorithm>

#include "base/ensure.hh"
#include "base/probe.hh"
#include "dlm/core/lockspace.hh"

namespace dlm {
namespace {

base::Probe probe_adopted("dlm: a new master adopts a held lock");
base::Probe probe_handed_over("dlm: a master that leaves hands over");
base::Probe probe_told_again("dlm: values that were not stored are told again");

// Collects items for each node and sends them in messages of bounded size.
template <typename Item, typename Send>
class Batches {
  public:
    explicit Batches(Send send) : send_(std::move(send)) {}
    void add(base::NodeId to, Item item) {
        auto& batch = batches_[to];
        batch.push_back(std::move(item));
        if (batch.size() == max_batch) send_(to, std::exchange(batch, {}));
    }
    void flush() {
        for (auto& [to, batch] : batches_) {
            if (!batch.empty()) send_(to, std::exchange(batch, {}));
        }
    }

  private:
    Send send_;
    std::map<base::NodeId, std::vector<Item>> batches_;
};

template <typename Item, typename Send>
Batches<Item, Send> batches_of(Send send) {
    return Batches<Item, Send>(std::move(send));
}

}  // namespace

void Lockspace::on(const ViewChanged& event) {
    membership_.on_view(event.view, *actions_);
    end_if_over();
}

void Lockspace::on(const GroupMessageDelivered& event) {
    const auto before = membership_.phase();
    const auto begun = membership_.on_message(event.sender, event.message, *actions_);
    if (const auto* release = std::get_if<ReleaseDead>(&event.message)) release_dead(release->life);
    if (before == Membership::Phase::agreeing) keep_links();
    const bool resumed = before == Membership::Phase::resuming && membership_.phase() == Membership::Phase::running;
    if (begun) {
        begin_rebuild(*begun);
    } else if (resumed) {
        resume();
    } else {
        end_if_over();
    }
}

void Lockspace::on(const QuorumChanged& event) {
    const bool could = membership_.may_grant();
    membership_.on_quorum(event.quorate, *actions_);
    if (could || !membership_.may_grant()) return;
    tell_unstored_again();
    work_off_stash();
    serve_all();
    dispatch_all();
}

// Nothing waits for what will not come: after Lost or Left everything in flight is cancelled.
void Lockspace::end_if_over() {
    if (!membership_.terminal()) return;
    stash_.clear();
    std::vector<LockId> waiting;
    for (const auto& [id, lock] : owned_) {
        if (lock.pending) waiting.push_back(id);
    }
    std::sort(waiting.begin(), waiting.end());
    for (const auto id : waiting) complete_cancelled(id, owned_.at(id));
}

void Lockspace::keep_links() {
    auto wanted = membership_.linked();
    for (const auto& member : links_) {
        if (!wanted.contains(member)) act(CloseLink{member.session});
    }
    for (const auto& member : wanted) {
        if (!links_.contains(member)) act(OpenLink{member});
    }
    links_ = std::move(wanted);
}

bool Lockspace::is_master(base::NodeId node) const {
    return std::binary_search(masters_.begin(), masters_.end(), node);
}

void Lockspace::begin_rebuild(const Round& round) {
    if (membership_.completed() == generation_ && !settled_) settle_rebuild();
    confirm_or_revert();
    const auto previous = std::exchange(sessions_, {});
    for (const auto& member : round.participants) sessions_[member.process.node] = member.session;
    generation_ = round.generation;
    settled_ = false;
    const bool was_told = is_master(self_);  // who only leaves is told nothing of what others hold
    masters_ = round.masters;
    purge(previous, was_told);
    told_everything_.clear();
    told_values_.clear();
    directory_.clear();
    act(Note{"generation " + std::to_string(generation_) + ": rebuilding with " + std::to_string(masters_.size()) +
             " members"});
    if (is_master(self_)) {
        tell_directory();
    } else {
        hand_over();
    }
    tell_held();
    tell_unstored();
    tell_done();
    work_off_stash();
}

// What the last rebuild changed counts if all have completed it; else it is as if it had not been: some have told the
// new masters, others have not.
void Lockspace::confirm_or_revert() {
    if (settled_) confirmed_sessions_ = sessions_;
    for (auto& [id, lock] : owned_) {
        if (settled_) {
            lock.confirmed_master = lock.master;
        } else {
            lock.master = lock.confirmed_master;
        }
    }
    if (!settled_) {
        std::erase_if(mastered_, [](const auto& entry) { return entry.second.provisional; });
        return;
    }
    for (auto& [name, mastered] : mastered_) mastered.provisional = false;
}

// Forgets all locks; what those who are gone for good held is noted first.
void Lockspace::purge(const std::map<base::NodeId, base::Uuid>& previous, bool was_told) {
    std::map<base::NodeId, base::NodeIncarnation> known;
    for (const auto& member : membership_.dead()) {
        const auto node = member.process.node;
        const auto was_in = [&](const std::map<base::NodeId, base::Uuid>& sessions) {
            const auto was = sessions.find(node);
            return was != sessions.end() && was->second == member.session;
        };
        if (was_told && was_in(previous) && told_everything_.contains(node)) {
            known[node] = member.life;
        } else if (was_in(previous) || was_in(confirmed_sessions_)) {
            unknown_dead_.insert(member.life);
        }
    }
    purge_exactly(known);
}

void Lockspace::purge_exactly(const std::map<base::NodeId, base::NodeIncarnation>& dead) {
    for (auto& [name, mastered] : mastered_) {
        auto& resource = mastered.resource;
        const auto judge_entry = [&](const Resource::Entry& entry) {
            const auto died = dead.find(entry.owner.node);
            if (died == dead.end() || !may_write(*entry.granted)) return;
            resource.withhold(died->second);
            if (*entry.granted != Mode::CW) resource.invalidate_value();
        };
        if (!dead.empty()) {
            std::for_each(resource.granted().begin(), resource.granted().end(), judge_entry);
            std::for_each(resource.converting().begin(), resource.converting().end(), judge_entry);
        }
        resource.forget_locks();
    }
}

// They stay here until the generation is completed.
void Lockspace::hand_over() {
    auto batches = batches_of<HandedResource>(
        [this](base::NodeId to, std::vector<HandedResource> batch) { send(to, Handover{std::move(batch)}); });
    for (const auto& [name, mastered] : mastered_) {
        HandedResource handed{name, mastered.resource.value(), mastered.resource.withheld_for()};
        // Not judged yet: whoever is unknown here is unknown there.
        for (const auto& life : unknown_dead_) {
            const auto& list = handed.withheld_for;
            if (std::find(list.begin(), list.end(), life) == list.end()) handed.withheld_for.push_back(life);
        }
        if (!unknown_dead_.empty()) handed.value = {handed.value.bytes, handed.value.sequence + 1, false};
        batches.add(directory_of(name), std::move(handed));
    }
    batches.flush();
}

void Lockspace::tell_directory() {
    auto batches = batches_of<Name>(
        [this](base::NodeId to, std::vector<Name> batch) { send(to, DirectoryEntries{std::move(batch)}); });
    for (const auto& [name, mastered] : mastered_) batches.add(directory_of(name), name);
    batches.flush();
}

// The same session as in the last completed generation, and a master in this one: it still knows its resources.
std::optional<base::NodeId> Lockspace::confirmed_master_that_stays(base::NodeId master) const {
    const auto was = confirmed_sessions_.find(master);
    if (was == confirmed_sessions_.end() || !is_master(master)) return std::nullopt;
    return sessions_.at(master) == was->second ? std::optional(master) : std::nullopt;
}

void Lockspace::tell_held() {
    auto batches = batches_of<HeldLock>(
        [this](base::NodeId to, std::vector<HeldLock> batch) { send(to, HeldLocks{std::move(batch)}); });
    for (auto& [id, lock] : owned_) {
        if (lock.pending) lock.pending->sent = false;
        if (!lock.granted) {
            lock.master = {};
            continue;
        }
        if (const auto assured = lock.assured(); assured != *lock.granted) {
            lock.granted = assured;
            lock.demoted = true;
        }
        if (!confirmed_master_that_stays(lock.master)) lock.master = directory_of(lock.name);
        batches.add(lock.master, {id, lock.name, *lock.granted, lock.value});
    }
    batches.flush();
}

// A value that was not acknowledged reaches the old master, or, if that one is leaving, the new one. When the old
// master died, others may have written since: then the value is lost, and the rules for orphans say so.
void Lockspace::tell_unstored() {
    auto batches = batches_of<NamedValue>(
        [this](base::NodeId to, std::vector<NamedValue> batch) { send(to, WrittenValues{std::move(batch)}); });
    std::erase_if(unstored_, [&](const auto& entry) {
        const auto was = confirmed_sessions_.find(entry.second.master);
        const auto is = sessions_.find(entry.second.master);
        return was == confirmed_sessions_.end() || is == sessions_.end() || was->second != is->second;
    });
    for (const auto& [id, unstored] : unstored_) {
        const auto stays = confirmed_master_that_stays(unstored.master);
        batches.add(stays ? *stays : directory_of(unstored.value.name), unstored.value);
    }
    batches.flush();
}

// That it was told does not mean that the master's rebuild came to its end: it is told until it is acknowledged.
void Lockspace::tell_unstored_again() {
    probe_told_again.hit();
    const auto unstored = unstored_;
    for (const auto& [id, each] : unstored) send(each.master, StoreValue{id, each.value.name, each.value.value});
}

void Lockspace::tell_done() {
    for (const auto& [node, session] : sessions_) {
        if (node != self_) send(node, RebuildDone{});
    }
    rebuild(self_, RebuildDone{});
}

void Lockspace::rebuild(base::NodeId from, const DirectoryEntries& message) {
    for (const auto& name : message.names) directory_[name] = from;
}

void Lockspace::rebuild(base::NodeId from, const HeldLocks& message) {
    for (const auto& held : message.locks) adopt(from, held);
}

// A name that is not mastered here has lost its master, and this is its directory node.
Lockspace::Mastered& Lockspace::rebuilt(const Name& name) {
    const auto [found, is_new] = mastered_.try_emplace(name);
    if (is_new) {
        found->second.orphaned = found->second.provisional = true;
        directory_[name] = self_;
    }
    return found->second;
}

void Lockspace::adopt(base::NodeId from, const HeldLock& held) {
    probe_adopted.hit();
    auto& mastered = rebuilt(held.name);
    mastered.resource.adopt(from, held);
    // Whoever holds less than CW has not kept others from writing since.
    if (!held.value) return;
    if (mastered.orphaned && held.mode <= Mode::CR) return mastered.resource.note_sequence(held.value->sequence);
    mastered.resource.store(*held.value);
    mastered.value_known = true;
}

void Lockspace::rebuild(base::NodeId, const WrittenValues& message) {
    told_values_.insert(told_values_.end(), message.values.begin(), message.values.end());
}

// Once it is known who masters what: a name that was forgotten here since the value was written may be another one's.
void Lockspace::store_told_values() {
    for (const auto& written : std::exchange(told_values_, {})) {
        const bool is_nobodys = directory_of(written.name) == self_ && !directory_.contains(written.name);
        if (mastered_.contains(written.name) || is_nobodys) rebuilt(written.name).resource.store(written.value);
    }
}

void Lockspace::rebuild(base::NodeId, const Handover& message) {
    probe_handed_over.hit();
    for (const auto& handed : message.resources) {
        auto& mastered = rebuilt(handed.name);
        if (handed.value.sequence >= mastered.resource.value().sequence) mastered.resource.set_value(handed.value);
        for (const auto& life : handed.withheld_for) mastered.resource.withhold(life);
        mastered.orphaned = false;
    }
}

void Lockspace::rebuild(base::NodeId from, const RebuildDone&) {
    told_everything_.insert(from);
    if (told_everything_.size() == sessions_.size()) finish_rebuild();
}

void Lockspace::finish_rebuild() {
    store_told_values();
    membership_.rebuild_finished(*actions_);
}

void Lockspace::resume() {
    settle_rebuild();
    if (!membership_.may_grant()) return;
    tell_unstored_again();
    work_off_stash();
    dispatch_all();
}

// All have rebuilt this generation: what it has made counts from now on.
void Lockspace::settle_rebuild() {
    settled_ = true;
    for (auto& [id, unstored] : unstored_) {
        if (!is_master(unstored.master)) unstored.master = directory_of(unstored.value.name);
    }
    if (!is_master(self_)) {
        mastered_.clear();
        unused_.clear();
    }
    for (auto& [name, mastered] : mastered_) {
        judge(mastered);
        note_use(name, mastered);
    }
    unknown_dead_.clear();
}

// What the dead leave behind under this name (dlm/README.md has the table).
void Lockspace::judge(Mastered& mastered) {
    auto& resource = mastered.resource;
    std::set<base::NodeIncarnation> unreleased;
    for (const auto& member : membership_.dead()) unreleased.insert(member.life);
    const auto suspects = mastered.orphaned ? unreleased : unknown_dead_;
    const auto& held = resource.granted();
    const auto held_by_any = [&](auto property) {
        return std::any_of(held.begin(), held.end(), [&](const auto& entry) { return property(*entry.granted); });
    };
    if (!held_by_any(excludes_writers)) {
        for (const auto& life : suspects) resource.withhold(life);
    }
    const bool writer_may_have_died = !suspects.empty() && !held_by_any([](Mode mode) { return mode > Mode::CR; });
    if ((mastered.orphaned && !mastered.value_known && !held.empty()) || writer_may_have_died) {
        resource.invalidate_value();
    }
    // The value block lives as long as somebody has a lock.
    if (held.empty()) resource.set_value(Value{{}, resource.value().sequence, true});
    const auto withheld = resource.withheld_for();
    for (const auto& life : withheld) {
        if (!unreleased.contains(life)) resource.release(life);
    }
    mastered.orphaned = mastered.value_known = false;
}

}  // namespace dlm
