#include "clusterfs/core/posix_locks.hh"

#include <algorithm>

#include "base/ensure.hh"

namespace clusterfs {

namespace {

constexpr std::size_t table_part_size = 48 * 1024;  // below the group's limit of 64 KiB
constexpr std::size_t table_limit = 256 * 1024 * 1024;

void put_member(base::ByteWriter& writer, const base::GroupMember& member) {
    writer.integer(member.node.value).integer(member.process);
}

base::GroupMember take_member(base::ByteReader& reader) {
    base::GroupMember member;
    member.node.value = reader.integer<std::uint32_t>();
    member.process = reader.integer<std::uint32_t>();
    return member;
}

base::Uuid take_uuid(base::ByteReader& reader) {
    base::Uuid uuid;
    const auto bytes = reader.take(uuid.bytes.size());
    std::copy(bytes.begin(), bytes.end(), uuid.bytes.begin());
    return uuid;
}

bool contains(const std::vector<base::GroupMember>& members, const base::GroupMember& member) {
    return std::find(members.begin(), members.end(), member) != members.end();
}

}  // namespace

// ---- what the group says -------------------------------------------------------------------------------------------

void PosixLocks::on_view(const base::GroupMember& self, const base::GroupView& view, AdvisoryActions& actions) {
    const bool first = !joined_;
    joined_ = true;
    self_ = self;
    members_ = view.members;
    if (first && members_.size() == 1) {
        synchronized_ = true;
        with_table_.insert(self_);
        announce(actions);
        submit_unsent(actions);
        return;
    }
    for (const auto& left : view.left) on_left(left, actions);
    for (const auto& member : view.joined) {
        if (lost_.contains(member)) on_returned(member, actions);
    }
    if (synchronized_) return;
    if (members_.size() > 1) return announce(actions);
    // Everybody who had the table is gone, and all their locks with them.
    table_ = {};
    lives_.clear();
    lost_.clear();
    with_table_.clear();
    become_synchronized(actions);
}

void PosixLocks::on_left(const base::GroupLeft& left, AdvisoryActions& actions) {
    with_table_.erase(left.member);
    if (!synchronized_) return;
    // Who never announced itself never asked for a lock.
    const auto life = lives_.find(left.member);
    if (left.reason != base::LeaveReason::node_down || life == lives_.end()) return remove(left.member, actions);
    lost_.insert(left.member);
    const base::NodeIncarnation incarnation{left.member.node, life->second};
    if (fenced_.contains(incarnation)) on_fenced(incarnation, actions);
}

// The group was split and is whole again, and nobody was fenced. Requests that were under way when it split may have
// been applied on one side only: the side of the lowest member is right, the others take its table anew.
void PosixLocks::on_returned(const base::GroupMember& member, AdvisoryActions& actions) {
    lost_.erase(member);
    const bool theirs_is_right = member < *std::min_element(with_table_.begin(), with_table_.end());
    if (!theirs_is_right) {
        if (!frozen()) submit_unsent(actions);
        return;
    }
    synchronized_ = false;
    with_table_.clear();
    for (auto& [id, pending] : pending_) {
        if (pending.stage == Stage::waiting) pending.stage = Stage::sent;
    }
}

void PosixLocks::on_message(const base::GroupMember& sender, base::ByteView message, AdvisoryActions& actions) {
    if (sender == self_ && in_flight_ > 0) --in_flight_;
    base::ByteReader reader(message);
    const auto type = static_cast<MessageType>(reader.integer<std::uint8_t>());
    if (!reader.ok()) return;
    if (type == MessageType::announce) return on_announce(sender, reader, actions);
    if (type == MessageType::table) return on_table(reader, actions);
    if (synchronized_) return on_ordered(type, sender, reader, actions);
    if (announcement_delivered_) held_back_.emplace_back(sender, base::Bytes(message.begin(), message.end()));
}

void PosixLocks::on_ordered(MessageType type, const base::GroupMember& sender, base::ByteReader& reader,
                            AdvisoryActions& actions) {
    switch (type) {
        case MessageType::request:
        case MessageType::test:
            return on_request(type, sender, reader, actions);
        case MessageType::cancel: {
            const auto id = reader.integer<std::uint64_t>();
            if (reader.complete() && table_.cancel(sender, id) && sender == self_) {
                answer(id, AdvisoryOutcome::interrupted, actions);
            }
            return;
        }
        case MessageType::purge: {
            const auto member = take_member(reader);
            if (reader.complete() && lost_.contains(member)) remove(member, actions);
            return;
        }
        case MessageType::announce:
        case MessageType::table:
            return;
    }
}

void PosixLocks::on_request(MessageType type, const base::GroupMember& sender, base::ByteReader& reader,
                            AdvisoryActions& actions) {
    AdvisoryRequest request;
    if (!decode_request(reader, request) || !reader.complete() || request.owner.member != sender) return;
    if (frozen()) {
        // Nobody applies it; its asker sends it again when the table thaws.
        const auto pending = pending_.find(request.id);
        if (sender == self_ && pending != pending_.end()) pending->second.stage = Stage::unsent;
        return;
    }
    apply(sender, request, type == MessageType::test, actions);
}

void PosixLocks::on_fenced(const base::NodeIncarnation& dead, AdvisoryActions& actions) {
    fenced_.insert(dead);
    if (!synchronized_) return;
    const auto lost = lost_;  // remove() changes it when we are alone
    for (const auto& member : lost) {
        const auto life = lives_.find(member);
        if (member.node != dead.node || life == lives_.end() || life->second != dead.incarnation) continue;
        if (members_.size() == 1) {
            remove(member, actions);
            continue;
        }
        base::ByteWriter writer;
        writer.integer(static_cast<std::uint8_t>(MessageType::purge));
        put_member(writer, member);
        send(actions, std::move(writer));
    }
}

void PosixLocks::remove(const base::GroupMember& member, AdvisoryActions& actions) {
    PosixLockTable::Woken woken;
    table_.remove_member(member, woken);
    lives_.erase(member);
    lost_.erase(member);
    answer_woken(woken, actions);
    if (!frozen()) submit_unsent(actions);
}

// ---- handing the table to those who join ---------------------------------------------------------------------------

void PosixLocks::announce(AdvisoryActions& actions) {
    announcement_delivered_ = false;
    held_back_.clear();
    table_bytes_.clear();
    base::ByteWriter writer;
    writer.integer(static_cast<std::uint8_t>(MessageType::announce)).integer(++announcement_);
    writer.append(incarnation_.incarnation.bytes).integer(static_cast<std::uint8_t>(synchronized_));
    send(actions, std::move(writer));
}

void PosixLocks::on_announce(const base::GroupMember& sender, base::ByteReader& reader, AdvisoryActions& actions) {
    const auto number = reader.integer<std::uint64_t>();
    const auto life = take_uuid(reader);
    const bool has_table = reader.integer<std::uint8_t>() != 0;
    if (!reader.complete() || !contains(members_, sender)) return;
    if (!synchronized_) {
        if (sender == self_ && number == announcement_) {
            announcement_delivered_ = true;
        } else if (announcement_delivered_) {
            // Its table comes after ours in the order; what it will know of lives is in ours as well.
            lives_[sender] = life;
        }
        return;
    }
    lives_[sender] = life;
    if (has_table || sender == self_) return;
    const bool ours_to_send = !with_table_.empty() && *with_table_.begin() == self_;
    with_table_.insert(sender);
    if (ours_to_send) send_table(sender, number, actions);
}

void PosixLocks::send_table(const base::GroupMember& to, std::uint64_t announcement, AdvisoryActions& actions) {
    const base::Bytes state = encode_state();
    std::size_t offset = 0;
    do {
        const std::size_t length = std::min(table_part_size, state.size() - offset);
        base::ByteWriter writer;
        writer.integer(static_cast<std::uint8_t>(MessageType::table));
        put_member(writer, to);
        writer.integer(announcement).integer(static_cast<std::uint64_t>(offset));
        writer.integer(static_cast<std::uint64_t>(state.size()));
        writer.append(base::ByteView(state).subspan(offset, length));
        send(actions, std::move(writer));
        offset += length;
    } while (offset < state.size());
}

void PosixLocks::on_table(base::ByteReader& reader, AdvisoryActions& actions) {
    const auto to = take_member(reader);
    const auto announcement = reader.integer<std::uint64_t>();
    const auto offset = reader.integer<std::uint64_t>();
    const auto total = reader.integer<std::uint64_t>();
    if (!reader.ok() || synchronized_ || to != self_ || announcement != announcement_) return;
    const auto part = reader.take(reader.remaining());
    if (offset != table_bytes_.size() || total > table_limit || offset + part.size() > total) return;
    table_bytes_.insert(table_bytes_.end(), part.begin(), part.end());
    if (table_bytes_.size() < total) return;
    if (!decode_state(table_bytes_)) {
        announce(actions);
        return;
    }
    become_synchronized(actions);
}

void PosixLocks::become_synchronized(AdvisoryActions& actions) {
    synchronized_ = true;
    table_bytes_.clear();
    lives_[self_] = incarnation_.incarnation;
    with_table_.insert(self_);
    const auto held_back = std::move(held_back_);
    held_back_.clear();
    // Ours that were under way when the group split: nobody can say any more what became of them.
    std::vector<Pending> doubtful;
    for (auto& [id, pending] : pending_) {
        if (pending.stage == Stage::sent) doubtful.push_back(pending);
    }
    for (const auto& pending : doubtful) {
        base::ByteWriter writer;
        writer.integer(static_cast<std::uint8_t>(MessageType::cancel)).integer(pending.request.id);
        send(actions, std::move(writer));
        AdvisoryRequest undo = pending.request;
        undo.mode = AdvisoryMode::unlock;
        answer(pending.request.id, AdvisoryOutcome::lost, actions);
        if (pending.is_test) continue;
        writer = {};
        writer.integer(static_cast<std::uint8_t>(MessageType::request));
        encode_request(writer, undo);
        send(actions, std::move(writer));
    }
    for (const auto& [sender, message] : held_back) {
        base::ByteReader reader(message);
        const auto type = static_cast<MessageType>(reader.integer<std::uint8_t>());
        on_ordered(type, sender, reader, actions);
    }
    for (const auto& dead : std::set<base::NodeIncarnation>(fenced_)) on_fenced(dead, actions);
    if (!frozen()) submit_unsent(actions);
}

base::Bytes PosixLocks::encode_state() const {
    base::ByteWriter writer;
    const auto put_members = [&](const auto& members) {
        writer.integer(static_cast<std::uint32_t>(members.size()));
        for (const auto& member : members) put_member(writer, member);
    };
    put_members(with_table_);
    put_members(lost_);
    writer.integer(static_cast<std::uint32_t>(lives_.size()));
    for (const auto& [member, life] : lives_) {
        put_member(writer, member);
        writer.append(life.bytes);
    }
    table_.encode(writer);
    return writer.take();
}

bool PosixLocks::decode_state(base::ByteView bytes) {
    base::ByteReader reader(bytes);
    const auto take_members = [&] {
        std::set<base::GroupMember> members;
        const auto count = reader.integer<std::uint32_t>();
        for (std::uint32_t i = 0; i < count && reader.ok(); ++i) members.insert(take_member(reader));
        return members;
    };
    with_table_ = take_members();
    lost_ = take_members();
    auto learnt_meanwhile = std::move(lives_);
    lives_.clear();
    const auto lives = reader.integer<std::uint32_t>();
    for (std::uint32_t i = 0; i < lives && reader.ok(); ++i) {
        const auto member = take_member(reader);
        lives_[member] = take_uuid(reader);
    }
    for (const auto& [member, life] : learnt_meanwhile) {
        lives_[member] = life;
        with_table_.insert(member);
    }
    std::erase_if(with_table_, [&](const auto& member) { return !contains(members_, member); });
    return table_.decode(reader) && reader.complete();
}

// ---- requests of this node -----------------------------------------------------------------------------------------

void PosixLocks::send(AdvisoryActions& actions, base::ByteWriter writer) {
    ++in_flight_;
    actions.push_back(MulticastBytes{writer.take()});
}

bool PosixLocks::may_apply_locally() const { return members_.size() == 1 && in_flight_ == 0; }

void PosixLocks::submit(Pending& pending, AdvisoryActions& actions) {
    if (!synchronized_ || frozen()) return;
    pending.stage = Stage::sent;
    if (may_apply_locally()) {
        const auto request = pending.request;  // apply() ends `pending`
        apply(self_, request, pending.is_test, actions);
        return;
    }
    base::ByteWriter writer;
    writer.integer(static_cast<std::uint8_t>(pending.is_test ? MessageType::test : MessageType::request));
    encode_request(writer, pending.request);
    send(actions, std::move(writer));
}

void PosixLocks::submit_unsent(AdvisoryActions& actions) {
    std::vector<std::uint64_t> unsent;
    for (const auto& [id, pending] : pending_) {
        if (pending.stage == Stage::unsent) unsent.push_back(id);
    }
    for (const auto id : unsent) {
        const auto pending = pending_.find(id);
        if (pending == pending_.end()) continue;
        pending->second.request.owner.member = self_;
        submit(pending->second, actions);
    }
}

void PosixLocks::request(AdvisoryRequest request, AdvisoryActions& actions) {
    request.owner.member = self_;
    const auto [pending, inserted] = pending_.emplace(request.id, Pending{request, false, false, Stage::unsent});
    base::ensure(inserted, "an advisory lock request has a number of its own");
    submit(pending->second, actions);
}

void PosixLocks::test(AdvisoryRequest request, AdvisoryActions& actions) {
    request.owner.member = self_;
    const auto [pending, inserted] = pending_.emplace(request.id, Pending{request, true, false, Stage::unsent});
    base::ensure(inserted, "an advisory lock request has a number of its own");
    submit(pending->second, actions);
}

void PosixLocks::cancel(std::uint64_t request_id, AdvisoryActions& actions) {
    const auto pending = pending_.find(request_id);
    if (pending == pending_.end()) return;
    if (pending->second.stage == Stage::unsent) return answer(request_id, AdvisoryOutcome::interrupted, actions);
    if (pending->second.stage == Stage::waiting && synchronized_ && !frozen() && may_apply_locally()) {
        if (table_.cancel(self_, request_id)) answer(request_id, AdvisoryOutcome::interrupted, actions);
        return;
    }
    base::ByteWriter writer;
    writer.integer(static_cast<std::uint8_t>(MessageType::cancel)).integer(request_id);
    send(actions, std::move(writer));
}

bool PosixLocks::may_own(std::uint64_t owner, AdvisoryKind kind, InodeNumber inode) const {
    const AdvisoryOwner full{self_, owner};
    if (table_.owns_any(full, kind, inode)) return true;
    return std::any_of(pending_.begin(), pending_.end(), [&](const auto& entry) {
        const auto& request = entry.second.request;
        return !entry.second.is_test && request.owner.id == owner && request.kind == kind && request.inode == inode;
    });
}

void PosixLocks::apply(const base::GroupMember& sender, const AdvisoryRequest& request, bool is_test,
                       AdvisoryActions& actions) {
    if (is_test) {
        if (sender == self_) answer(request.id, AdvisoryOutcome::granted, actions, table_.conflict(request));
        return;
    }
    PosixLockTable::Woken woken;
    const auto verdict = table_.apply(request, woken);
    if (sender == self_) {
        const auto pending = pending_.find(request.id);
        if (verdict == AdvisoryVerdict::waiting) {
            if (pending != pending_.end()) pending->second.stage = Stage::waiting;
        } else if (verdict == AdvisoryVerdict::granted) {
            answer(request.id, AdvisoryOutcome::granted, actions);
        } else if (verdict == AdvisoryVerdict::would_block) {
            answer(request.id, AdvisoryOutcome::would_block, actions);
        } else {
            answer(request.id, AdvisoryOutcome::deadlock, actions);
        }
    }
    answer_woken(woken, actions);
}

void PosixLocks::answer(std::uint64_t id, AdvisoryOutcome outcome, AdvisoryActions& actions,
                        std::optional<AdvisoryLock> conflict) {
    if (pending_.erase(id) == 0) return;
    actions.push_back(AnswerAdvisory{id, outcome, conflict});
}

void PosixLocks::answer_woken(const PosixLockTable::Woken& woken, AdvisoryActions& actions) {
    for (const auto& request : woken) {
        if (request.owner.member == self_) answer(request.id, AdvisoryOutcome::granted, actions);
    }
}

void PosixLocks::check_invariants() const {
    table_.check_invariants();
    for (const auto& [id, pending] : pending_) base::ensure(id == pending.request.id, "a request under a wrong number");
    base::ensure(!synchronized_ || with_table_.contains(self_), "we have the table and do not know it");
}

void PosixLocks::describe(base::JsonWriter& json) const {
    json.begin_object();
    json.member("members", members_.size()).member("synchronized", synchronized_).member("frozen", frozen());
    json.key("waiting_for_fence_of").begin_array();
    for (const auto& member : lost_) json.value(member.node.value);
    json.end_array();
    json.member("requests", pending_.size()).key("table");
    table_.describe(json);
    json.end_object();
}

}  // namespace clusterfs
