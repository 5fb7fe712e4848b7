// The master's and the directory's side: resources that this node decides about, names that hash to it.
#include <algorithm>

#include "base/ensure.hh"
#include "base/hash.hh"
#include "base/probe.hh"
#include "dlm/core/lockspace.hh"

namespace dlm {
namespace {

base::Probe probe_released_dead("dlm: what a dead node held is released");

}  // namespace

base::NodeId Lockspace::directory_of(const Name& name) const {
    base::ensure(!masters_.empty(), "no member to be asked");
    if (masters_.size() == 1) return masters_.front();
    return masters_[base::checksum(base::as_bytes(name)) % masters_.size()];
}

void Lockspace::to_master(base::NodeId from, const Request& message) {
    auto found = mastered_.find(message.name);
    if (found == mastered_.end()) {
        if (directory_of(message.name) != self_) return send(from, NotMaster{message.lock, message.operation});
        if (!is_master(from)) return send(from, Refused{message.lock, message.operation, Outcome::invalid, false});
        auto& master = directory_.try_emplace(message.name, from).first->second;
        if (master != self_) return send(from, Redirect{message.lock, message.operation, message.name, master});
        master_here(message.name);
        found = mastered_.find(message.name);
    }
    MasterNotices notices;
    found->second.resource.request(from, message, now_, notices);
    changed(message.name, found->second, std::move(notices));
}

void Lockspace::to_master(base::NodeId from, const Convert& message) {
    MasterNotices notices;
    const auto found = mastered_.find(message.name);
    if (found == mastered_.end()) return send(from, Refused{message.lock, message.operation, Outcome::invalid, false});
    found->second.resource.convert(from, message, now_, notices);
    changed(message.name, found->second, std::move(notices));
}

void Lockspace::to_master(base::NodeId from, const Lower& message) {
    const auto found = mastered_.find(message.name);
    if (found == mastered_.end()) return;
    MasterNotices notices;
    found->second.resource.lower(from, message, notices);
    changed(message.name, found->second, std::move(notices));
}

void Lockspace::to_master(base::NodeId from, const Unlock& message) {
    const auto found = mastered_.find(message.name);
    if (found == mastered_.end()) {
        if (message.written) send(from, ValueStored{message.lock, message.written->sequence});
        return;
    }
    MasterNotices notices;
    found->second.resource.unlock(from, message, notices);
    changed(message.name, found->second, std::move(notices));
}

void Lockspace::to_master(base::NodeId from, const Cancel& message) {
    const auto found = mastered_.find(message.name);
    if (found == mastered_.end()) return;
    MasterNotices notices;
    found->second.resource.cancel(from, message, notices);
    changed(message.name, found->second, std::move(notices));
}

void Lockspace::to_master(base::NodeId from, const StoreValue& message) {
    const auto found = mastered_.find(message.name);
    if (found != mastered_.end() && !found->second.resource.unused()) found->second.resource.store(message.value);
    send(from, ValueStored{message.lock, message.value.sequence});
}

void Lockspace::to_master(base::NodeId from, const DirectoryRemove& message) {
    const auto found = directory_.find(message.name);
    if (found != directory_.end() && found->second == from) directory_.erase(found);
}

// The resource of that name, made if it is new: then nothing is known of what a dead node did under it.
Lockspace::Mastered& Lockspace::master_here(const Name& name) {
    const auto [found, is_new] = mastered_.try_emplace(name);
    if (is_new) {
        for (const auto& member : membership_.dead()) found->second.resource.withhold(member.life);
        // What was written before it was forgotten may be told again.
        found->second.resource.note_sequence(forgotten_sequence_);
        note_use(name, found->second);
    }
    return found->second;
}

void Lockspace::changed(const Name& name, Mastered& mastered, MasterNotices notices) {
    note_use(name, mastered);
    publish(std::move(notices));
}

void Lockspace::note_use(const Name& name, Mastered& mastered) {
    if (!mastered.resource.unused()) {
        mastered.unused_since.reset();
    } else if (!mastered.unused_since) {
        mastered.unused_since = now_;
        if (!std::exchange(mastered.in_unused_list, true)) unused_.emplace_back(now_, name);
    }
}

void Lockspace::publish(MasterNotices notices) {
    for (auto& notice : notices) send(notice.to, std::move(notice.body));
}

// A name is in the list once, since it first became unused; it may have been used meanwhile.
void Lockspace::forget_unused() {
    while (membership_.may_grant() && !unused_.empty() && unused_.front().first + settings_.forget_after <= now_) {
        auto [since, name] = std::move(unused_.front());
        unused_.pop_front();
        const auto found = mastered_.find(name);
        if (found == mastered_.end()) continue;
        const auto unused_since = found->second.unused_since;
        found->second.in_unused_list = false;
        if (!unused_since) continue;
        if (*unused_since != since) {
            found->second.in_unused_list = true;
            unused_.emplace_back(*unused_since, std::move(name));
            continue;
        }
        forgotten_sequence_ = std::max(forgotten_sequence_, found->second.resource.value().sequence);
        mastered_.erase(found);
        send(directory_of(name), DirectoryRemove{name});
    }
}

// When grants may be made again.
void Lockspace::serve_all() {
    MasterNotices notices;
    for (auto& [name, mastered] : mastered_) mastered.resource.serve(notices);
    publish(std::move(notices));
}

// It stays among the unknown dead: its writes are repaired, but a value block that it wrote is still not known.
void Lockspace::release_dead(const base::NodeIncarnation& life) {
    probe_released_dead.hit();
    MasterNotices notices;
    for (auto& [name, mastered] : mastered_) {
        if (mastered.resource.withheld_for().empty()) continue;
        mastered.resource.release(life);
        if (membership_.may_grant()) mastered.resource.serve(notices);
    }
    publish(std::move(notices));
}

}  // namespace dlm
