// How the members of PosixLocks agree on one table, and what becomes of the locks of those who are gone.
#include <algorithm>
#include <utility>

#include "base/probe.hh"
#include "clusterfs/core/posix_locks.hh"

namespace clusterfs {

namespace {

base::Probe probe_lock_table_sent("clusterfs: a table of advisory locks is sent");
base::Probe probe_locks_purged("clusterfs: advisory locks of a dead node go");
base::Probe probe_locks_reconciled("clusterfs: advisory locks are reconciled after a split");

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

template <typename Members>
bool contains(const Members& members, const base::GroupMember& member) {
    return std::find(members.begin(), members.end(), member) != members.end();
}

bool has_node(const std::vector<base::GroupMember>& members, base::NodeId node) {
    return std::any_of(members.begin(), members.end(), [&](const auto& member) { return member.node == node; });
}

// Whoever is not there any more, or not without a break, whether or not the view says why.
std::vector<base::GroupLeft> departed(const std::vector<base::GroupMember>& before, const base::GroupView& view) {
    auto left = view.left;
    for (const auto& member : before) {
        if (contains(view.members, member) && !contains(view.joined, member)) continue;
        const bool told =
            std::any_of(left.begin(), left.end(), [&](const auto& each) { return each.member == member; });
        if (!told) left.push_back({member, base::LeaveReason::node_down});
    }
    return left;
}

}  // namespace

void PosixLocks::put_lives(base::ByteWriter& writer, const MemberLives& lives) {
    writer.integer(static_cast<std::uint32_t>(lives.size()));
    for (const auto& [member, life] : lives) {
        put_member(writer, member);
        writer.append(life.bytes);
    }
}

PosixLocks::MemberLives PosixLocks::take_lives(base::ByteReader& reader) {
    MemberLives lives;
    const auto count = reader.integer<std::uint32_t>();
    for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
        const auto member = take_member(reader);
        lives.insert({member, take_uuid(reader)});
    }
    return lives;
}

base::Bytes PosixLocks::State::encode() const {
    base::ByteWriter writer;
    writer.integer(version);
    MemberLives taking_part;
    for (const auto& [member, life] : lives) taking_part.insert({member, life});
    put_lives(writer, taking_part);
    writer.integer(static_cast<std::uint32_t>(lost.size()));
    for (const auto& [life, each] : lost) {
        put_member(writer, each.member);
        writer.append(life.bytes).integer(static_cast<std::uint8_t>(each.is_over));
    }
    writer.integer(static_cast<std::uint32_t>(executed.size()));
    for (const auto& [life, number] : executed) writer.append(life.bytes).integer(number);
    table.encode(writer);
    return writer.take();
}

bool PosixLocks::State::decode(base::ByteView bytes) {
    base::ByteReader reader(bytes);
    version = reader.integer<std::uint64_t>();
    for (const auto& [member, life] : take_lives(reader)) lives[member] = life;
    const auto lost_count = reader.integer<std::uint32_t>();
    for (std::uint32_t i = 0; i < lost_count && reader.ok(); ++i) {
        const auto member = take_member(reader);
        const auto life = take_uuid(reader);
        lost[life] = {member, reader.integer<std::uint8_t>() != 0};
    }
    const auto executed_count = reader.integer<std::uint32_t>();
    for (std::uint32_t i = 0; i < executed_count && reader.ok(); ++i) {
        const auto life = take_uuid(reader);
        executed[life] = reader.integer<std::uint64_t>();
    }
    return table.decode(reader) && reader.complete();
}

// ---- views ---------------------------------------------------------------------------------------------------------

void PosixLocks::on_view(const base::GroupMember& self, const base::GroupView& view, AdvisoryActions& actions) {
    self_ = self;
    const auto before = std::exchange(members_, view.members);
    for (const auto& left : departed(before, view)) {
        if (left.member != self_) on_left(left);
    }
    // Whoever is on a node that is here, and is not here itself, has ended.
    std::erase_if(awaited_, [&](const auto& each) { return has_node(members_, each.member.node); });
    std::erase_if(not_awaited_, [&](const auto& each) { return contains(members_, each); });
    const auto is_new = [&](const auto& member) {
        return member != self_ && (!contains(before, member) || contains(view.joined, member));
    };
    if (agreed_ && std::none_of(members_.begin(), members_.end(), is_new)) {
        remove_those_over(actions);
        return purge_known(actions);
    }
    agreed_ = false;
    round_.reset();
    statuses_.clear();
    if (members_.size() == 1) return agree_alone(actions);
    if (members_.front() == self_) start_round(actions);
}

// Who takes part here knows of everybody who may have been granted something: a table is opened only when all members
// have said that they know who takes part. So others may be forgotten.
void PosixLocks::on_left(const base::GroupLeft& left) {
    const bool is_over = left.reason != base::LeaveReason::node_down;
    const auto told = statuses_.find(left.member);
    const bool is_known = told != statuses_.end();
    if (is_over && is_known) over_.insert({left.member.node, told->second.life});
    // Of two without a table that lose each other the lockspace lets only one in. If it has let in both, it will say
    // which of them is over.
    if (!has_table_ && !is_over && (in_use_ || !is_known || told->second.has_table)) {
        awaited_.insert({left.member, is_known ? told->second.life : base::Uuid{}});
    }
    const auto found = state_.lives.find(left.member);
    if (found == state_.lives.end()) return;
    if (is_over) over_.insert({left.member.node, found->second});
    state_.lost[found->second] = {left.member, is_over};
    state_.lives.erase(found);
}

void PosixLocks::agree_alone(AdvisoryActions& actions) {
    if (!has_table_) {
        if (!awaited_.empty()) return;
        begin_empty();
    }
    state_.lives = {{self_, incarnation_.incarnation}};
    see_who_ended();
    reconcile(actions);
    become_agreed(actions);
}

void PosixLocks::begin_empty() {
    has_table_ = true;
    state_ = {};
    awaited_.clear();
}

// ---- rounds --------------------------------------------------------------------------------------------------------

base::ByteWriter PosixLocks::message_of_round(MessageType type) const {
    base::ByteWriter writer;
    writer.integer(static_cast<std::uint8_t>(type));
    put_member(writer, round_->starter);
    writer.integer(round_->number);
    return writer;
}

void PosixLocks::start_round(AdvisoryActions& actions) {
    base::ByteWriter writer;
    writer.integer(static_cast<std::uint8_t>(MessageType::round)).integer(++rounds_started_);
    send(actions, std::move(writer));
}

void PosixLocks::on_round(const RoundName& round, AdvisoryActions& actions) {
    agreed_ = false;
    round_ = round;
    statuses_.clear();
    ready_.clear();
    source_ = {};
    table_bytes_.clear();
    send_status(actions);
}

void PosixLocks::send_status(AdvisoryActions& actions) {
    auto absent = awaited_;
    for (const auto& [life, lost] : state_.lost) {
        if (!lost.is_over) absent.insert({lost.member, life});
    }
    auto writer = message_of_round(MessageType::status);
    writer.append(incarnation_.incarnation.bytes).integer(static_cast<std::uint8_t>(has_table_));
    writer.integer(state_.version);
    put_lives(writer, absent);
    send(actions, std::move(writer));
}

void PosixLocks::on_status(const base::GroupMember& sender, base::ByteReader& reader, AdvisoryActions& actions) {
    RoundName round;
    round.starter = take_member(reader);
    round.number = reader.integer<std::uint64_t>();
    Status status;
    status.life = take_uuid(reader);
    status.has_table = reader.integer<std::uint8_t>() != 0;
    status.version = reader.integer<std::uint64_t>();
    status.absent = take_lives(reader);
    if (!reader.complete() || round != round_ || !statuses_.emplace(sender, status).second) return;
    if (!has_table_) {
        // Whoever has a table may go before we have it, and then we have to go on waiting for these.
        for (const auto& each : status.absent) {
            if (!has_node(members_, each.member.node) && !is_over(each)) awaited_.insert(each);
        }
    }
    if (statuses_.size() == members_.size()) decide(actions);
}

// All statuses are delivered: every member comes to the same conclusion.
void PosixLocks::decide(AdvisoryActions& actions) {
    const Status* furthest = nullptr;
    for (const auto& [member, status] : statuses_) {
        if (!status.has_table || (furthest != nullptr && status.version <= furthest->version)) continue;
        furthest = &status;
        source_ = member;
    }
    if (furthest != nullptr) {
        if (source_ == self_) send_table(actions);
        return;
    }
    if (somebody_may_have_a_table()) return purge_known(actions);
    begin_empty();
    adopt(actions);
}

bool PosixLocks::somebody_may_have_a_table() const {
    return std::any_of(statuses_.begin(), statuses_.end(), [&](const auto& each) {
        const auto& absent = each.second.absent;
        return std::any_of(absent.begin(), absent.end(),
                           [&](const auto& lost) { return !has_node(members_, lost.member.node); });
    });
}

void PosixLocks::send_table(AdvisoryActions& actions) {
    probe_lock_table_sent.hit();
    const base::Bytes state = state_.encode();
    std::size_t offset = 0;
    do {
        const std::size_t length = std::min(table_part_size, state.size() - offset);
        auto writer = message_of_round(MessageType::table);
        writer.integer(static_cast<std::uint64_t>(offset)).integer(static_cast<std::uint64_t>(state.size()));
        writer.append(base::ByteView(state).subspan(offset, length));
        send(actions, std::move(writer));
        offset += length;
    } while (offset < state.size());
}

// The old table is kept until the new one is complete: its sender may vanish.
void PosixLocks::on_table(base::ByteReader& reader, AdvisoryActions& actions) {
    RoundName round;
    round.starter = take_member(reader);
    round.number = reader.integer<std::uint64_t>();
    const auto offset = reader.integer<std::uint64_t>();
    const auto total = reader.integer<std::uint64_t>();
    if (!reader.ok() || round != round_) return;
    const auto part = reader.take(reader.remaining());
    if (offset != table_bytes_.size() || total > table_limit || offset + part.size() > total) return;
    table_bytes_.insert(table_bytes_.end(), part.begin(), part.end());
    if (table_bytes_.size() < total) return;
    if (source_ != self_) {
        State received;
        if (!received.decode(table_bytes_)) return start_round(actions);
        state_ = std::move(received);
        has_table_ = true;
        awaited_.clear();
    }
    table_bytes_.clear();
    adopt(actions);
}

// We have the table that the round goes on with. Who is here in the life in which it was lost has returned.
void PosixLocks::adopt(AdvisoryActions& actions) {
    state_.lives.clear();
    for (const auto& [member, status] : statuses_) {
        state_.lives[member] = status.life;
        const auto lost = state_.lost.find(status.life);
        if (lost != state_.lost.end() && !lost->second.is_over) state_.lost.erase(lost);
    }
    see_who_ended();
    reconcile(actions);
    send(actions, message_of_round(MessageType::ready));
}

// A node has one mount at a time: if it is here in another life, the lost one is over.
void PosixLocks::see_who_ended() {
    for (auto& [life, lost] : state_.lost) lost.is_over |= has_node(members_, lost.member.node);
}

void PosixLocks::on_ready(const base::GroupMember& sender, AdvisoryActions& actions) {
    ready_.insert(sender);
    if (ready_.size() == members_.size()) become_agreed(actions);
}

void PosixLocks::become_agreed(AdvisoryActions& actions) {
    agreed_ = true;
    if (open()) return submit_all(actions);
    remove_those_over(actions);
    purge_known(actions);
}

// The table may have been changed by messages of ours of which we have not seen the effect.
void PosixLocks::reconcile(AdvisoryActions& actions) {
    probe_locks_reconciled.hit();
    const auto found = state_.executed.find(incarnation_.incarnation);
    const std::uint64_t executed = found == state_.executed.end() ? 0 : found->second;
    std::vector<std::uint64_t> done;
    for (auto& [id, pending] : pending_) {
        const bool was_applied = pending.number != 0 && pending.number <= executed;
        if (pending.stage != Stage::waiting && !was_applied) continue;
        if (state_.table.waits(self_, id)) {
            pending.stage = Stage::waiting;
        } else if (!pending.is_test &&
                   (pending.request.mode == AdvisoryMode::unlock || state_.table.holds(pending.request))) {
            done.push_back(id);
        } else {
            pending.stage = Stage::unsent;  // it had no effect: it is tried again
        }
    }
    for (const auto id : done) answer(id, AdvisoryOutcome::granted, actions);
}

// ---- those who are gone --------------------------------------------------------------------------------------------

void PosixLocks::on_fenced(const base::NodeIncarnation& dead, AdvisoryActions& actions) {
    learn_over(dead, actions);
    if (agreed_) purge_known(actions);
}

void PosixLocks::learn_over(const base::NodeIncarnation& dead, AdvisoryActions& actions) {
    if (!dead.incarnation.is_nil()) over_.insert(dead);
    const auto erased = std::erase_if(awaited_, [&](const auto& each) {
        const auto& [member, life] = each;
        if (member.node != dead.node || (!life.is_nil() && life != dead.incarnation)) return false;
        if (life.is_nil()) not_awaited_.insert(member);
        return true;
    });
    if (erased == 0 || has_table_) return;
    if (members_.size() == 1) return agree_alone(actions);
    start_round(actions);
}

bool PosixLocks::is_over(const MemberLife& each) const {
    return each.life.is_nil() ? not_awaited_.contains(each.member) : over_.contains({each.member.node, each.life});
}

// What we know of the end of others is told in the order, so that all remove them at the same place.
void PosixLocks::purge_known(AdvisoryActions& actions) {
    MemberLives known;
    for (auto& [life, lost] : state_.lost) {
        const MemberLife each{lost.member, life};
        if (lost.is_over || !is_over(each)) continue;
        if (members_.size() == 1) {
            lost.is_over = true;
        } else {
            known.insert(each);
        }
    }
    if (!has_table_) {
        for (const auto& [sender, status] : statuses_) {
            for (const auto& each : status.absent) {
                if (is_over(each)) known.insert(each);
            }
        }
    }
    for (const auto& [member, life] : known) {
        base::ByteWriter writer;
        writer.integer(static_cast<std::uint8_t>(MessageType::purge));
        put_member(writer, member);
        writer.append(life.bytes);
        send(actions, std::move(writer));
    }
    if (members_.size() == 1) remove_those_over(actions);
}

void PosixLocks::on_purge(base::ByteReader& reader, AdvisoryActions& actions) {
    const auto member = take_member(reader);
    const auto life = take_uuid(reader);
    if (!reader.complete()) return;
    learn_over({member.node, life}, actions);
    const auto lost = state_.lost.find(life);
    // In a round the table stays as it is; who knows of the death says so again afterwards.
    if (!agreed_ || lost == state_.lost.end()) return;
    lost->second.is_over = true;
    remove_those_over(actions);
}

// Only when nobody is left who may come back: as long as the table is closed, nobody is granted anything, and so no
// side of a split knows of a grant that the other has not.
void PosixLocks::remove_those_over(AdvisoryActions& actions) {
    probe_locks_purged.hit();
    auto& lost = state_.lost;
    if (!agreed_ || lost.empty()) return;
    if (!std::all_of(lost.begin(), lost.end(), [](const auto& each) { return each.second.is_over; })) return;
    PosixLockTable::Woken woken;
    std::set<base::GroupMember> removed;
    for (const auto& [life, each] : lost) {
        state_.table.remove_member(each.member, woken);
        state_.executed.erase(life);
        removed.insert(each.member);
    }
    // One of them may have got for a moment what another had.
    std::erase_if(woken, [&](const auto& request) { return removed.contains(request.owner.member); });
    lost.clear();
    ++state_.version;
    answer_woken(woken, actions);
    submit_all(actions);
}

}  // namespace clusterfs
