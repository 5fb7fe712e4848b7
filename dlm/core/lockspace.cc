#include "dlm/core/lockspace.hh"

#include <algorithm>

#include "base/ensure.hh"

namespace dlm {
namespace {

template <typename T>
constexpr bool is_rebuild =
    std::is_same_v<T, DirectoryEntries> || std::is_same_v<T, HeldLocks> || std::is_same_v<T, WrittenValues> ||
    std::is_same_v<T, Handover> || std::is_same_v<T, RebuildDone>;
template <typename T>
constexpr bool is_answer =
    std::is_same_v<T, Granted> || std::is_same_v<T, Refused> || std::is_same_v<T, Blocking> ||
    std::is_same_v<T, ValueStored> || std::is_same_v<T, Redirect> || std::is_same_v<T, NotMaster>;

bool is_rebuild_message(const PeerBody& body) {
    return std::visit([](const auto& message) { return is_rebuild<std::remove_cvref_t<decltype(message)>>; }, body);
}

}  // namespace

Lockspace::Lockspace(const Settings& settings)
    : settings_(settings), membership_(settings.self), self_(settings.self.process.node) {}

void Lockspace::step(const Event& event, base::Instant now, Actions& actions) {
    now_ = now;
    actions_ = &actions;
    const auto before = membership_.phase();
    std::visit([this](const auto& each) { on(each); }, event);
    if (membership_.phase() != before) phase_since_ = now;
    actions_ = nullptr;
}

void Lockspace::on(const DeadReleaseRequested& event) {
    if (!membership_.terminal()) act(Multicast{ReleaseDead{event.life}});
}

void Lockspace::on(const LeaveRequested&) {
    base::ensure(owned_.empty() || membership_.terminal(), "a lockspace is left with locks in use");
    membership_.leave(*actions_);
}

void Lockspace::on(const LifeFenced& event) {
    membership_.on_fenced(event.life, *actions_);
    keep_links();
    end_if_over();
}

void Lockspace::on(const NobodyMissing& event) {
    membership_.on_nobody_missing(event.question, *actions_);
    end_if_over();
}

void Lockspace::on(const GroupLost&) {
    membership_.on_group_lost(*actions_);
    end_if_over();
}

void Lockspace::on(const SecretRefused& event) {
    membership_.on_secret_refused(event.why, *actions_);
    end_if_over();
}

void Lockspace::on(const TimePassed&) { forget_unused(); }

void Lockspace::on(const PeerMessageArrived& event) {
    const auto phase = membership_.phase();
    const auto& message = event.message;
    if (membership_.terminal() || message.generation < generation_) return;
    if (message.generation > generation_) return stash_.push_back({event.session, message});
    const auto from = node_of(event.session);
    if (!from) return;
    const bool rebuilding = phase == Membership::Phase::rebuilding;
    if (is_rebuild_message(message.body)) {
        if (rebuilding) deliver(*from, message.body);
        return;
    }
    if (membership_.may_grant()) return deliver(*from, message.body);
    // Between a view change and the next generation nothing of this one counts: owners will tell it anew.
    if (masters_are_known()) stash_.push_back({event.session, message});
}

bool Lockspace::masters_are_known() const {
    const auto phase = membership_.phase();
    return phase == Membership::Phase::rebuilding || phase == Membership::Phase::resuming ||
           phase == Membership::Phase::running;
}

std::optional<base::NodeId> Lockspace::node_of(const base::Uuid& session) const {
    for (const auto& [node, known] : sessions_) {
        if (known == session) return node;
    }
    return std::nullopt;
}

// Only while rebuilding or running.
void Lockspace::send(base::NodeId to, PeerBody body) {
    if (to != self_) {
        act(SendToPeer{sessions_.at(to), {generation_, std::move(body)}});
    } else if (membership_.may_grant() || is_rebuild_message(body)) {
        deliver(self_, body);
    } else {
        stash_.push_back({settings_.self.session, {generation_, std::move(body)}});
    }
}

void Lockspace::deliver(base::NodeId from, const PeerBody& body) {
    std::visit(
        [&](const auto& message) {
            using T = std::remove_cvref_t<decltype(message)>;
            if constexpr (is_rebuild<T>) {
                rebuild(from, message);
            } else if constexpr (is_answer<T>) {
                from_master(from, message);
            } else {
                to_master(from, message);
            }
        },
        body);
}

// What has become due is handled in the order of arrival; the rest stays.
void Lockspace::work_off_stash() {
    auto stashed = std::exchange(stash_, {});
    for (auto& each : stashed) on(PeerMessageArrived{each.session, std::move(each.message)});
}

std::optional<base::Instant> Lockspace::next_deadline() const {
    if (unused_.empty() || !membership_.may_grant()) return std::nullopt;
    return unused_.front().first + settings_.forget_after;
}

bool Lockspace::is_local(const Name& name) const {
    return membership_.may_grant() && (mastered_.contains(name) || directory_of(name) == self_);
}

void Lockspace::check_invariants() const {
    membership_.check_invariants();
    for (const auto& [name, mastered] : mastered_) {
        mastered.resource.check_invariants();
        if (!membership_.may_grant()) continue;
        if (directory_of(name) == self_) {
            const auto entry = directory_.find(name);
            base::ensure(entry != directory_.end() && entry->second == self_, "a resource without its directory entry");
        }
        base::ensure(mastered.resource.unused() == mastered.unused_since.has_value(), "unused is not noted");
    }
    for (const auto& [id, lock] : owned_) {
        base::ensure(lock.granted || lock.pending, "a lock that neither is held nor waits");
        if (membership_.may_grant() && lock.granted) base::ensure(lock.master.value != 0, "held, but no master");
    }
}

void Lockspace::describe(base::JsonWriter& json, base::Instant now, bool locks) const {
    json.begin_object().member("node", self_.value);
    json.key("membership");
    membership_.describe(json);
    json.member("phase_ms", (now - phase_since_).to_milliseconds());
    if (membership_.phase() == Membership::Phase::rebuilding) {
        json.key("not_rebuilt").begin_array();
        for (const auto& [node, session] : sessions_) {
            if (!told_everything_.contains(node)) json.value(node.value);
        }
        json.end_array();
    }
    json.member("owned", owned_.size()).member("mastered", mastered_.size());
    json.member("directory", directory_.size()).member("stashed", stash_.size());
    std::size_t pending = 0;
    for (const auto& [id, lock] : owned_) pending += lock.pending.has_value() ? 1 : 0;
    json.member("pending", pending);
    if (locks) {
        json.key("resources").begin_array();
        for (const auto& [name, mastered] : mastered_) {
            json.begin_object().member("name", name).key("queues").begin_object();
            mastered.resource.describe(json, now);
            json.end_object().end_object();
        }
        json.end_array();
        json.key("owned_locks").begin_array();
        for (const auto& [id, lock] : owned_) {
            json.begin_object().member("lock", id).member("name", lock.name).member("master", lock.master.value);
            if (lock.granted) json.member("granted", text_of(*lock.granted));
            if (lock.pending) json.member("requested", text_of(lock.pending->mode));
            json.end_object();
        }
        json.end_array();
    }
    json.end_object();
}

}  // namespace dlm
