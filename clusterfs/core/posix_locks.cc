#include "clusterfs/core/posix_locks.hh"

#include <algorithm>

#include "base/ensure.hh"

namespace clusterfs {

void PosixLocks::on_message(const base::GroupMember& sender, base::ByteView message, AdvisoryActions& actions) {
    if (sender == self_ && in_flight_ > 0) --in_flight_;
    base::ByteReader reader(message);
    const auto type = static_cast<MessageType>(reader.integer<std::uint8_t>());
    if (!reader.ok() || std::find(members_.begin(), members_.end(), sender) == members_.end()) return;
    switch (type) {
        case MessageType::round: {
            const auto number = reader.integer<std::uint64_t>();
            if (reader.complete()) on_round({sender, number}, actions);
            return;
        }
        case MessageType::status:
            return on_status(sender, reader, actions);
        case MessageType::table:
            if (sender == source_) on_table(reader, actions);
            return;
        case MessageType::ready: {
            if (message_of_round(type).bytes() == base::Bytes(message.begin(), message.end()))
                on_ready(sender, actions);
            return;
        }
        case MessageType::request:
        case MessageType::test:
            return on_request(type, sender, reader, actions);
        case MessageType::cancel:
            return on_cancel(sender, reader, actions);
        case MessageType::purge:
            return on_purge(reader, actions);
    }
}

void PosixLocks::send(AdvisoryActions& actions, base::ByteWriter writer) {
    ++in_flight_;
    actions.push_back(MulticastBytes{writer.take()});
}

// ---- requests of this node -----------------------------------------------------------------------------------------

void PosixLocks::request(AdvisoryRequest request, AdvisoryActions& actions) {
    in_use_ = true;
    request.owner.member = self_;
    const auto [pending, inserted] = pending_.emplace(request.id, Pending{request, false, false, Stage::unsent, 0});
    base::ensure(inserted, "an advisory lock request has a number of its own");
    submit(pending->second, actions);
}

void PosixLocks::test(AdvisoryRequest request, AdvisoryActions& actions) {
    in_use_ = true;
    request.owner.member = self_;
    const auto [pending, inserted] = pending_.emplace(request.id, Pending{request, true, false, Stage::unsent, 0});
    base::ensure(inserted, "an advisory lock request has a number of its own");
    submit(pending->second, actions);
}

void PosixLocks::submit(Pending& pending, AdvisoryActions& actions) {
    if (!open()) return;
    pending.stage = Stage::sent;
    if (may_apply_locally()) {
        const auto request = pending.request;  // apply() ends `pending`
        apply(self_, request, pending.is_test, actions);
        return;
    }
    pending.number = ++messages_numbered_;
    base::ByteWriter writer;
    writer.integer(static_cast<std::uint8_t>(pending.is_test ? MessageType::test : MessageType::request));
    writer.integer(pending.number);
    encode_request(writer, pending.request);
    send(actions, std::move(writer));
}

// The table is open again: what was kept back goes out.
void PosixLocks::submit_all(AdvisoryActions& actions) {
    std::vector<std::uint64_t> ids;
    for (const auto& [id, pending] : pending_) ids.push_back(id);
    for (const auto id : ids) {
        const auto found = pending_.find(id);
        if (found == pending_.end()) continue;
        auto& pending = found->second;
        if (pending.cancelled && pending.stage == Stage::unsent) {
            answer(id, AdvisoryOutcome::interrupted, actions);
        } else if (pending.cancelled) {
            send_cancel(id, actions);
        } else if (pending.stage == Stage::unsent) {
            pending.request.owner.member = self_;  // it may have come before our first view
            submit(pending, actions);
        }
    }
}

void PosixLocks::cancel(std::uint64_t request_id, AdvisoryActions& actions) {
    const auto found = pending_.find(request_id);
    if (found == pending_.end()) return;
    auto& pending = found->second;
    pending.cancelled = true;
    // A message that carried it may have been applied on the other side of a split: then that is known later.
    if (pending.stage == Stage::unsent && pending.number == 0) {
        return answer(request_id, AdvisoryOutcome::interrupted, actions);
    }
    if (!open() || pending.stage == Stage::unsent) return;
    if (pending.stage == Stage::waiting && may_apply_locally()) {
        ++state_.version;
        if (state_.table.cancel(self_, request_id)) answer(request_id, AdvisoryOutcome::interrupted, actions);
        return;
    }
    send_cancel(request_id, actions);
}

void PosixLocks::send_cancel(std::uint64_t request_id, AdvisoryActions& actions) {
    base::ByteWriter writer;
    writer.integer(static_cast<std::uint8_t>(MessageType::cancel)).integer(++messages_numbered_).integer(request_id);
    send(actions, std::move(writer));
}

bool PosixLocks::may_own(std::uint64_t owner, AdvisoryKind kind, InodeNumber inode) const {
    const AdvisoryOwner full{self_, owner};
    if (state_.table.owns_any(full, kind, inode)) return true;
    return std::any_of(pending_.begin(), pending_.end(), [&](const auto& entry) {
        const auto& request = entry.second.request;
        return !entry.second.is_test && request.owner.id == owner && request.kind == kind && request.inode == inode;
    });
}

// ---- requests in the group's order ---------------------------------------------------------------------------------

// False: the table has that message already. It was applied on the other side of a split, and the group sent it again.
bool PosixLocks::is_next(const base::GroupMember& sender, std::uint64_t number) {
    const auto life = state_.lives.find(sender);
    if (life == state_.lives.end()) return false;
    auto& executed = state_.executed[life->second];
    if (number <= executed) return false;
    executed = number;
    return true;
}

void PosixLocks::on_request(MessageType type, const base::GroupMember& sender, base::ByteReader& reader,
                            AdvisoryActions& actions) {
    const auto number = reader.integer<std::uint64_t>();
    AdvisoryRequest request;
    if (!decode_request(reader, request) || !reader.complete() || request.owner.member != sender) return;
    if (!open()) {
        // Nobody applies it; its asker sends it again when the table is open.
        const auto pending = pending_.find(request.id);
        if (sender == self_ && pending != pending_.end() && pending->second.number == number &&
            pending->second.stage == Stage::sent) {
            pending->second.stage = Stage::unsent;
        }
        return;
    }
    if (is_next(sender, number)) apply(sender, request, type == MessageType::test, actions);
}

void PosixLocks::on_cancel(const base::GroupMember& sender, base::ByteReader& reader, AdvisoryActions& actions) {
    const auto number = reader.integer<std::uint64_t>();
    const auto id = reader.integer<std::uint64_t>();
    if (!reader.complete() || !open() || !is_next(sender, number)) return;
    ++state_.version;
    if (state_.table.cancel(sender, id) && sender == self_) answer(id, AdvisoryOutcome::interrupted, actions);
}

void PosixLocks::apply(const base::GroupMember& sender, const AdvisoryRequest& request, bool is_test,
                       AdvisoryActions& actions) {
    ++state_.version;
    if (is_test) {
        if (sender == self_) answer(request.id, AdvisoryOutcome::granted, actions, state_.table.conflict(request));
        return;
    }
    PosixLockTable::Woken woken;
    const auto verdict = state_.table.apply(request, woken);
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

// --------------------------------------------------------------------------------------------------------------------

void PosixLocks::check_invariants() const {
    state_.table.check_invariants();
    for (const auto& [id, pending] : pending_) base::ensure(id == pending.request.id, "a request under a wrong number");
    base::ensure(!agreed_ || has_table_, "agreed on a table that is not there");
    base::ensure(!agreed_ || state_.lives.contains(self_), "we have the table and do not take part");
}

void PosixLocks::describe(base::JsonWriter& json) const {
    json.begin_object();
    json.member("members", members_.size()).member("synchronized", synchronized()).member("frozen", frozen());
    json.key("waiting_for_fence_of").begin_array();
    for (const auto& [life, lost] : state_.lost) json.value(lost.member.node.value);
    for (const auto& each : awaited_) json.value(each.member.node.value);
    json.end_array();
    json.member("requests", pending_.size()).key("table");
    state_.table.describe(json);
    json.end_object();
}

}  // namespace clusterfs
