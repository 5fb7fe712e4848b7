#include "clusterfs/driver/dlm_lock_service.hh"

#include <algorithm>
#include <optional>
#include <utility>

namespace clusterfs {
namespace {

dlm::Mode to_mode(LockMode mode) {
    switch (mode) {
        case LockMode::none:
            return dlm::Mode::NL;
        case LockMode::shared:
            return dlm::Mode::PR;
        case LockMode::exclusive:
            return dlm::Mode::EX;
    }
    return dlm::Mode::NL;
}

// Those who have an inode open are told that somebody wants to delete it.
dlm::Flags to_flags(const LockName& name, bool no_queue, bool recovery) {
    dlm::Flags flags;
    if (no_queue) flags = flags | dlm::Flag::no_queue;
    if (no_queue && name.type == LockType::open) flags = flags | dlm::Flag::no_queue_notify;
    if (recovery) flags = flags | dlm::Flag::recovery;
    return flags;
}

LockMode from_mode(dlm::Mode mode) {
    if (mode == dlm::Mode::EX || mode == dlm::Mode::PW) return LockMode::exclusive;
    return mode == dlm::Mode::PR ? LockMode::shared : LockMode::none;
}

}  // namespace

DlmLockService::DlmLockService(base::EventLoop& loop, std::unique_ptr<dlm::LockspaceClient> client)
    : loop_(loop), client_(std::move(client)) {}

DlmLockService::~DlmLockService() { *alive_ = false; }

void DlmLockService::start(Callbacks callbacks) {
    callbacks_ = std::move(callbacks);
    const auto started = client_->start({[this](const dlm::Completed& each) { completed(each); },
                                         [this](const dlm::BlockingNotice& notice) { blocking(notice); },
                                         [this](const dlm::NodeNotice& notice) { node(notice); },
                                         [this](const base::Error& why) { callbacks_.lost(why); }});
    if (started) return;
    loop_.post([this, alive = alive_, why = started.error()] {
        if (*alive) callbacks_.lost(why);
    });
}

// With the mutex.
dlm::LockspaceClient::Requested DlmLockService::ask(LockName name, LockMode mode, dlm::Flags flags) {
    auto& held = held_[name];
    auto requested = held.granted ? client_->convert(held.id, to_mode(mode), flags)
                                  : client_->request(name.text(), to_mode(mode), flags);
    held.id = requested.lock;
    held.pending = true;
    held.asked = mode;
    held.flags = flags;
    names_[held.id] = name;
    return requested;
}

void DlmLockService::ask_later_answered(LockName name, LockMode mode, dlm::Flags flags) {
    const auto requested = ask(name, mode, flags);
    auto& held = held_.at(name);
    held.answering = requested.answer != dlm::LockspaceClient::Answer::queued;
    if (held.answering) answer_later(requested);
}

void DlmLockService::request(LockName name, LockMode mode, bool no_queue, bool recovery) {
    const std::lock_guard lock(mutex_);
    ask_later_answered(name, mode, to_flags(name, no_queue, recovery));
}

LockService::Answer DlmLockService::try_request(LockName name, LockMode mode, bool no_queue, bool recovery) {
    const std::lock_guard lock(mutex_);
    const auto requested = ask(name, mode, to_flags(name, no_queue, recovery));
    if (requested.answer == dlm::LockspaceClient::Answer::queued) return Answer::later;
    auto& held = held_.at(name);
    held.pending = false;
    if (requested.answer == dlm::LockspaceClient::Answer::granted) {
        held.granted = true;
        return Answer::granted;
    }
    if (!held.granted) {
        names_.erase(held.id);
        held_.erase(name);
    }
    return Answer::refused;
}

// Callbacks never run inside a call.
void DlmLockService::answer_later(const dlm::LockspaceClient::Requested& requested) {
    loop_.post([this, alive = alive_, answer = requested.completed] {
        if (*alive) completed(answer);
    });
}

void DlmLockService::completed(const dlm::Completed& completed) {
    LockName name;
    const bool granted = completed.outcome == dlm::Outcome::granted;
    std::optional<dlm::Mode> wanted;
    {
        const std::lock_guard lock(mutex_);
        const auto known = names_.find(completed.lock);
        if (known == names_.end()) return;  // released meanwhile
        name = known->second;
        auto& held = held_.at(name);
        held.pending = held.answering = false;
        wanted = std::exchange(held.wanted, {});
        if (granted) held.granted = true;
        if (!held.granted) {
            names_.erase(known);
            held_.erase(name);
        }
    }
    if (granted) {
        callbacks_.granted(name, from_mode(completed.mode));
    } else {
        callbacks_.refused(name);
    }
    if (wanted) callbacks_.wanted(name, from_mode(*wanted));
}

void DlmLockService::blocking(const dlm::BlockingNotice& notice) {
    LockName name;
    {
        const std::lock_guard lock(mutex_);
        const auto known = names_.find(notice.lock);
        if (known == names_.end()) return;
        name = known->second;
        auto& held = held_.at(name);
        if (held.answering) {
            held.wanted = std::max(held.wanted.value_or(notice.wanted), notice.wanted);
            return;
        }
    }
    callbacks_.wanted(name, from_mode(notice.wanted));
}

void DlmLockService::node(const dlm::NodeNotice& notice) {
    if (notice.phase == dlm::NodePhase::recovered) callbacks_.node_died(notice.life);
}

void DlmLockService::release(LockName name, LockMode keep) {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(name);
    if (found == held_.end()) return;
    const auto held = found->second;
    const bool converts = held.pending && !held.answering;
    if (keep != LockMode::none && held.granted) {
        // While it waits for more it holds no more than shared.
        if (!converts) client_->convert(held.id, to_mode(keep), {});
        return;
    }
    client_->unlock(held.id);
    names_.erase(held.id);
    held_.erase(found);
    // What it waits for is still wanted, from nothing.
    if (converts && held.granted) ask_later_answered(name, held.asked, held.flags);
}

void DlmLockService::release_dead(const base::NodeIncarnation& node) { client_->release_dead(node); }

void DlmLockService::leave(std::function<void()> left) {
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, held] : held_) client_->unlock(held.id);
        held_.clear();
        names_.clear();
    }
    client_->leave(std::move(left));
}

void DlmLockService::describe(base::JsonWriter& json) const { client_->describe(json, false); }

}  // namespace clusterfs
