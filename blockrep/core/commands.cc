// What operators order: roles, connecting and leaving, giving up data.
#include "blockrep/core/resource_state.hh"

namespace blockrep {
namespace {

const auto leave_limit = base::Duration::seconds(3);

}  // namespace

void Resource::State::command(const CommandGiven& given) {
    switch (given.kind) {
        case CommandKind::connect:
            return connect(given);
        case CommandKind::disconnect:
            return disconnect(given.command);
        case CommandKind::promote:
            return promote(given.command);
        case CommandKind::force_promote:
            return force_promote(given.command);
        case CommandKind::demote:
            return demote(given.command);
        case CommandKind::detach:
            return detach(given.command);
        case CommandKind::invalidate:
            return invalidate(given.command);
        case CommandKind::clear_bitmap:
            return skip_initial_sync(given.command);
    }
}

void Resource::State::connect(const CommandGiven& given) {
    if (connection != ConnectionState::StandAlone)
        return complete_command(given.command, failed(Errc::already_connected));
    discard_my_data = given.discard_my_data;
    reset_session();
    open_link();
    complete_command(given.command, {});
}

// ---- leaving
// ---------------------------------------------------------------------------------------------------------
void Resource::State::disconnect(Ticket command) {
    if (leave) return complete_command(command, failed(Errc::superseded_command));
    if (connection == ConnectionState::StandAlone) return complete_command(command, {});
    const bool both = session_up && (role == Role::Primary || promoting) && !alone;
    if (both) return complete_command(command, failed(Errc::would_split, "demote this node first"));
    if (!link_open || !hello_seen || negotiating || role == Role::Primary) {
        leave = PendingLeave{command, now};
        return leave_done();
    }
    leave = PendingLeave{command, now + leave_limit};
    connection = ConnectionState::Disconnecting;
    if (peer_disk == DiskState::UpToDate && disk == DiskState::UpToDate) {
        disk = DiskState::Outdated;  // the peer goes on, and this replica will be behind
        superblock.up_to_date = false;
    }
    save(true, [this, in = session_number] {
        if (in == session_number && session_up && leave) say_leave();
    });
}

void Resource::State::say_leave() {
    leave->said = true;
    send(Leave{});
}

void Resource::State::on(const Leave&, const Payload&) {
    if (peer_role == Role::Primary) return bad_peer("a Primary that leaves");
    report("the peer leaves");
    send(LeaveAccepted{});
    lose_peer(LossReason::left);
    // The connection is the peer's to close: it waits for the answer.
    session_up = false;
    hello_seen = false;
    reset_session();
}

void Resource::State::on(const LeaveAccepted&, const Payload&) {
    if (leave) leave_done();
}

void Resource::State::leave_done() {
    const auto command = leave->command;
    leave.reset();
    close_link("disconnect");
    if (session_up) lose_peer(LossReason::given_up);
    reset_session();
    connection = ConnectionState::StandAlone;
    complete_command(command, {});
}

// ---- promotion
// -------------------------------------------------------------------------------------------------------
void Resource::State::promote(Ticket command) {
    promotes.push_back({command});
    try_promotes();
}

void Resource::State::try_promotes() {
    for (auto i = promotes.begin(); i != promotes.end();) {
        i = try_promote(*i) ? promotes.erase(i) : i + 1;
    }
}

// True when the command is settled or on its way to be.
bool Resource::State::try_promote(PendingPromote& pending) {
    if (role == Role::Primary) {
        complete_command(pending.command, {});
        return true;
    }
    const bool answer_may_come = pending.asked && !(link_lost_at && grace_over);
    if (promoting || demoting || leave || negotiating || answer_may_come || disk == DiskState::Attaching) return false;
    const bool connected = replicating();
    if (!connected && session_up) {
        if (!link_lost_at || !grace_over) return false;
        if (settings.fencing && disk == DiskState::UpToDate && peer_disk == DiskState::UpToDate) {
            if (fence_requested) return false;
            fence_requested = true;
            act(RequestFence{{settings.peer, peer_incarnation}, "promotion of " + settings.name + " without its peer"});
            return false;
        }
        give_up_unreachable();
    }
    if (!connected) {
        promote_alone(pending.command);
        return true;
    }
    if (disk != DiskState::UpToDate && peer_disk != DiskState::UpToDate) {
        complete_command(pending.command, failed(Errc::no_up_to_date_data));
        return true;
    }
    if (settings.allow_two_primaries && peer_report->allow_two_primaries) {
        become_primary(pending.command);
        return true;
    }
    if (peer_role == Role::Primary) {
        complete_command(pending.command, failed(Errc::multiple_primaries));
        return true;
    }
    pending.asked = true;
    pending.id = ticket();
    send(PromoteRequest{pending.id});
    return false;
}

void Resource::State::promote_alone(Ticket command) {
    if (disk != DiskState::UpToDate || (settings.fencing && !peer_behind)) {
        return complete_command(
            command, failed(Errc::no_up_to_date_data, disk == DiskState::UpToDate
                                                          ? "the peer is not connected and may have newer data"
                                                          : "disk is " + std::string(to_string(disk))));
    }
    superblock.peer_outdated = true;
    peer_behind = true;
    bump_generation();
    alone = true;
    become_primary(command);
}

void Resource::State::become_primary(Ticket command) {
    promoting = true;
    crashed_primary = false;
    superblock.primary = true;
    const auto saved = [this, command] {
        promoting = false;
        // The peer may have been lost meanwhile, when this was a Secondary.
        const bool has_peer = session_up || alone;
        const bool may_go_alone = disk == DiskState::UpToDate && (peer_behind || !settings.fencing);
        if (!has_peer && !may_go_alone) {
            superblock.primary = false;
            return save(
                false,
                [this, command] { complete_command(command, failed(Errc::no_up_to_date_data, "the peer was lost")); },
                command);
        }
        role = Role::Primary;
        report("role is Primary");
        if (!has_peer) go_alone();
        announce_state();
        complete_command(command, {});  // (others that wait for the same: pump())
    };
    save(true, saved, command);
}

void Resource::State::on(const PromoteRequest& message, const Payload&) {
    const bool both_allowed = settings.allow_two_primaries && peer_report && peer_report->allow_two_primaries;
    const bool competing = promoting || (!promotes.empty() && orderer);
    send(PromoteReply{message.id, both_allowed || (role != Role::Primary && !competing)});
}

void Resource::State::on(const PromoteReply& message, const Payload&) {
    for (auto i = promotes.begin(); i != promotes.end(); ++i) {
        if (!i->asked || i->id != message.id) continue;
        if (leave) {  // alone then, or not at all
            i->asked = false;
            return;
        }
        const auto command = i->command;
        promotes.erase(i);
        if (message.allowed) return become_primary(command);
        return complete_command(command, failed(Errc::multiple_primaries));
    }
}

void Resource::State::force_promote(Ticket command) {
    if (role == Role::Primary) return complete_command(command, {});
    const bool normal = replicating() && (disk == DiskState::UpToDate || peer_disk == DiskState::UpToDate);
    if (normal) return promote(command);
    if (!has_disk()) return complete_command(command, failed(Errc::not_attached));
    if (disk == DiskState::Inconsistent) {
        bitmap.set_all();
        superblock.generations.retire_bitmap();
        superblock.generations.current = new_generation();
    } else {
        bump_generation();
    }
    report("forced to be Primary: this disk counts as UpToDate");
    disk = DiskState::UpToDate;
    superblock.consistent = superblock.up_to_date = superblock.peer_outdated = true;
    peer_behind = true;
    if (session_up) restart_link("forced to be Primary");
    alone = true;
    become_primary(command);
}

// ---- demotion
// --------------------------------------------------------------------------------------------------------
void Resource::State::demote(Ticket command) {
    if (role == Role::Secondary) return complete_command(command, {});
    const bool busy = openers != 0 || !writes.empty() || !queue.empty() || !flushes.empty();
    if (busy) return complete_command(command, failed(Errc::device_in_use));
    if (demoting) return complete_command(command, failed(Errc::superseded_command));
    demoting = command;
    if (!peer_stores()) return finish_demotion();
    flush_peer([this, in = session_number](bool) {
        if (in == session_number && demoting) finish_demotion();
    });
}

void Resource::State::finish_demotion() {
    demotion_saving = true;
    superblock.primary = peer_writes_through_us();
    const auto saved = [this] {
        demotion_saving = false;
        const auto command = demoting.value_or(0);
        demoting.reset();
        role = Role::Secondary;
        report("role is Secondary");
        announce_state();
        complete_command(command, {});
    };
    save(true, saved, *demoting);
}

// ---- disks
// -----------------------------------------------------------------------------------------------------------
void Resource::State::detach(Ticket command) {
    if (!disk_open) return complete_command(command, failed(Errc::not_attached));
    const bool last = !(replicating() && peer_disk == DiskState::UpToDate);
    if (role == Role::Primary && last) return complete_command(command, failed(Errc::device_in_use));
    if (replication == ReplicationState::SyncSource) return complete_command(command, failed(Errc::sync_in_progress));
    // The peer may go on writing: this replica is behind from now on.
    if (session_up && disk == DiskState::UpToDate && peer_disk == DiskState::UpToDate) superblock.up_to_date = false;
    // A Primary goes on writing here until the disk is closed: its activity log must count when it comes back.
    const auto saved = [this, command] {
        const bool needed = role == Role::Primary && !(replicating() && peer_disk == DiskState::UpToDate);
        if (!needed && replication != ReplicationState::SyncSource) {
            close_disk();
            return complete_command(command, {});
        }
        superblock.up_to_date = disk == DiskState::UpToDate;
        const auto why = needed ? Errc::device_in_use : Errc::sync_in_progress;
        save(
            false, [this, command, why] { complete_command(command, failed(why)); }, command);
    };
    save(true, saved, command);
}

void Resource::State::invalidate(Ticket command) {
    const bool possible = replicating() && peer_disk == DiskState::UpToDate;
    if (!possible) return complete_command(command, failed(Errc::not_connected, "nobody to sync from"));
    if (role == Role::Primary) return complete_command(command, failed(Errc::device_in_use));
    if (!has_disk()) return complete_command(command, failed(Errc::not_attached));
    disk = DiskState::Inconsistent;
    superblock.consistent = superblock.up_to_date = superblock.peer_outdated = false;
    bitmap.set_all();
    const auto saved = [this, command] {
        restart_link("invalidated");
        complete_command(command, {});
    };
    save(true, saved, command);
}

// Both replicas are new and hold the same (or nothing of value): no first resync.
void Resource::State::skip_initial_sync(Ticket command) {
    const bool both_new = replication == ReplicationState::Established && replicating() &&
                          disk == DiskState::Inconsistent && peer_disk == DiskState::Inconsistent;
    if (!both_new)
        return complete_command(command, failed(Errc::not_connected, "only for two new, connected replicas"));
    superblock.generations = Generations{new_generation()};
    superblock.consistent = superblock.up_to_date = true;
    superblock.peer_outdated = false;
    bitmap.clear_all();
    peer_disk = DiskState::UpToDate;
    sync_finishing = true;
    const auto saved = [this, command, in = session_number] {
        disk = DiskState::UpToDate;
        if (in == session_number && session_up) {
            sync_finish_sent = true;
            send(SyncFinish{superblock.generations});
        }
        complete_command(command, {});
    };
    save(true, saved, command);
}

}  // namespace blockrep
