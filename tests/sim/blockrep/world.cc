#include "tests/sim/blockrep/world.hh"

#include <cstdio>

#include "base/probe.hh"

namespace sim {
namespace {

constexpr std::uint64_t megabyte = 1 << 20;

base::Probe probe_both_die("simulated: both die while one settles what it lost");
base::Probe probe_caches_lost("simulated: the operator ends both, since both disks had failed to flush");
base::Probe probe_stalled("simulated: the replication link carries one way only");

}  // namespace

World::World(std::uint64_t seed, bool trace)
    : random(seed), disk_size(megabyte * static_cast<std::uint64_t>(random.between(50, 140))), trace_(trace) {
    two_primaries = !random.percent(20);
    knobs.al_extents = static_cast<std::uint32_t>(random.between(4, random.percent(50) ? 12 : 64));
    knobs.resync_chunks = static_cast<std::uint32_t>(random.between(2, 8));
    knobs.resync_chunk_length = std::uint64_t{16384} << random.below(4);
    knobs.reconnect_grace = base::Duration::milliseconds(random.between(100, 2000));
    for (std::uint32_t i = 0; i < 2; ++i) nodes_[i] = std::make_unique<Node>(*this, i);
}

void World::log(const std::string& line) {
    if (trace_) std::printf("%12.6f %s\n", static_cast<double>(now().nanoseconds) / 1e9, line.c_str());
}

void World::run() {
    for (auto& node : nodes_) node->boot();
    // Two new replicas: an operator says which one counts; says it again in settle() if he had no answer.
    scheduler.run_until(now() + base::Duration::milliseconds(500));
    node(0).force_promote();
    const auto faults = random.between(1, 12);
    calm_ = false;
    for (std::int64_t i = 0; i < faults; ++i) {
        run_until(now() + base::Duration::milliseconds(random.between(5, 4000)));
        fault();
    }
    calm_ = true;
    settle();
    compare();
    leave_one_alone();
    log(end_of_trace(scheduler, random));
}

void World::run_until(base::Instant end) {
    while (now() < end) {
        scheduler.run_until(std::min(end, now() + base::Duration::microseconds(200)));
        if (!both_die_at_ || now() < *both_die_at_) continue;
        probe_both_die.hit();
        lose_both();
    }
}

void World::tempt_fate() {
    if (calm_ || both_die_at_ || !random.percent(15)) return;
    both_die_at_ = now() + random.between(base::Duration{}, base::Duration::milliseconds(8));
}

void World::pause(std::uint32_t which) {
    const auto longest = base::Duration::milliseconds(random.percent(60) ? 100 : 4000);
    log("process of " + std::to_string(which) + " is paused");
    node(which).pause(random.between(base::Duration::microseconds(100), longest));
}

// One direction of the network fails: what is sent there arrives late, or the connection ends.
void World::stall(std::uint32_t from) {
    if (stalled_from_) return;
    probe_stalled.hit();
    log("nothing of " + std::to_string(from) + " gets through");
    stalled_from_ = from;
    const auto lasts = base::Duration::milliseconds(random.between(1, random.percent(60) ? 500 : 3000));
    if (const auto connection = node(from).connection(); connection != 0 && lasts > base::Duration::seconds(1)) {
        scheduler.after(base::Duration::milliseconds(700), [this, connection] { break_connection(connection, true); });
    }
    scheduler.after(lasts, [this, from] {
        stalled_from_.reset();
        for (auto& each : std::exchange(held_frames_, {})) carry(from, each.connection, each.frame, each.payload);
        try_connect();
    });
}

void World::carry(std::uint32_t from, std::uint64_t connection, const blockrep::Frame& frame,
                  const blockrep::Payload& payload) {
    if (stalled_from_ == from) return held_frames_.push_back({connection, frame, payload});
    node(1 - from).frame_arrived(connection, frame, payload);
}

// The network fails for a while.
void World::cut_link() {
    log("link cut");
    link_works = false;
    const auto connection = node(0).connection();
    if (connection != 0) break_connection(connection, true);
    scheduler.after(base::Duration::milliseconds(random.between(1, random.percent(60) ? 900 : 6000)), [this] {
        log("link heals");
        link_works = true;
        try_connect();
    });
}

void World::trouble_disk(std::uint32_t which) {
    Node::DiskTrouble trouble;
    const auto kinds = random.between(1, 15);
    trouble.reads = (kinds & 1) != 0;
    trouble.writes = (kinds & 2) != 0;
    trouble.flushes = (kinds & 4) != 0;
    trouble.metadata = (kinds & 8) != 0;
    trouble.percent = random.percent(50) ? 100 : static_cast<std::uint64_t>(random.between(1, 60));
    trouble.lasts = base::Duration::milliseconds(random.between(1, random.percent(70) ? 60 : 3000));
    trouble.at_handshake = random.percent(40);
    log("disk trouble of " + std::to_string(which) + " kinds " + std::to_string(kinds) +
        (trouble.at_handshake ? " at the next handshake" : ""));
    node(which).trouble_disk(trouble);
}

void World::order_something(std::uint32_t which) {
    const auto pause = base::Duration::milliseconds(random.between(1, random.percent(50) ? 100 : 4000));
    switch (random.below(5)) {
        case 0:
        case 1:
            return node(which).take_disk_away(pause);
        case 2:
            return node(which).give_role_up(pause, false);
        case 3:
            return node(which).give_role_up(pause, true);
        default:
            return node(which).disconnect(pause);
    }
}

void World::fault() {
    const auto which = static_cast<std::uint32_t>(random.below(2));
    switch (random.below(16)) {
        case 0:
        case 1:
        case 2:
            return cut_link();
        case 3: {  // only a connection is reset
            log("connection reset");
            const auto connection = node(which).connection();
            if (connection != 0) break_connection(connection, true);
            return;
        }
        case 4:
        case 5:
            if (!node(which).powered()) return;
            // The other one has everything only if it is a full replica; else it is as if both were lost.
            if (!is_full_replica(1 - which)) return lose_both();
            node(which).crash(true);
            announce_dead(node(which).life());
            scheduler.after(base::Duration::milliseconds(random.between(100, 5000)), [this, which] {
                if (!node(which).powered()) node(which).boot();
            });
            return;
        case 6:
            // Known limit (blockrep/README.md): a source that forgets what it has stored stores it twice.
            if (!node(which).running() || !is_full_replica(1 - which)) return;
            node(which).crash(false);
            scheduler.after(base::Duration::milliseconds(random.between(10, 2000)), [this, which] {
                if (node(which).powered() && !node(which).running()) node(which).start_process();
            });
            return;
        case 7:
        case 8:
        case 9:
        case 10:
            return trouble_disk(which);
        case 11:
        case 12:
            return order_something(which);
        case 13:
            return pause(which);
        case 14:
            return stall(which);
        default:
            return lose_both();
    }
}

bool World::is_full_replica(std::uint32_t index) {
    return node(index).running() && node(index).resource().disk() == blockrep::DiskState::UpToDate;
}

void World::lose_both() {
    log("both lose power");
    const bool was_calm = std::exchange(calm_, true);
    both_die_at_.reset();
    for (auto& node : nodes_) {
        if (!node->powered()) continue;
        node->crash(true);
        dead_.insert(node->life());
    }
    fence_requests_.clear();
    // Judged on the replica that will be read from: after the resync, see settle(). Until then clients stay away.
    for (auto& node : nodes_) node->stop_clients();
    for (std::uint32_t i = 0; i < 2; ++i) {
        scheduler.after(base::Duration::milliseconds(random.between(10, 1000)), [this, i] {
            if (!node(i).powered()) node(i).boot();
        });
    }
    settle();
    compare();
    for (auto& node : nodes_) node->start_clients();
    for (std::uint64_t sector = 0; sector < node(0).disk().geometry().data_size / base::sector_size; ++sector) {
        const auto stamp = node(0).disk().read(sector);
        if (stamp != 0 || history.knows(sector)) history.restart_from(sector, stamp, now());
    }
    calm_ = was_calm;
}

// One Primary is allowed, and the other was promoted while this one was frozen without good data: refused, until the
// operator gives up what its clients still wait for.
void World::end_double_primary() {
    if (two_primaries) return;
    for (auto& node : nodes_) {
        if (!node->running() || node->resource().role() != blockrep::Role::Primary) return;
    }
    for (std::uint32_t i = 0; i < 2; ++i) {
        if (is_full_replica(i)) continue;
        log("the operator ends a Primary without good data");
        return node(i).crash(false);
    }
}

// What both disks may have lost, those who live rely on: both must end.
void World::end_both_without_caches() {
    if (!node(0).refuses_without_caches() && !node(1).refuses_without_caches()) return;
    if (!node(0).failed_to_flush() || !node(1).failed_to_flush()) throw Violation("refused though a disk is whole");
    probe_caches_lost.hit();
    lose_both();
    for (auto& node : nodes_) node->stop_clients();
}

// No more faults: everything must come to rest, answered and in sync.
void World::settle() {
    link_works = true;
    const auto synced = [&] {
        for (auto& node : nodes_) {
            if (!node->running() || node->unanswered() != 0 || node->open_commands() != 0) return false;
            if (node->operator_busy()) return false;
            const auto& resource = node->resource();
            if (resource.disk() != blockrep::DiskState::UpToDate ||
                resource.replication() != blockrep::ReplicationState::Established) {
                return false;
            }
            if (resource.requests_in_flight() != 0) return false;
        }
        return true;
    };
    for (auto& node : nodes_) {
        node->stop_clients();
        node->heal_disk();
    }
    for (int i = 0; i < 600 && !synced(); ++i) {
        try_connect();
        const bool operator_looks = i > 50 && i % 10 == 0;
        if (operator_looks) end_double_primary();
        if (operator_looks) end_both_without_caches();
        if (operator_looks && !formed) node(0).force_promote();
        for (auto& node : nodes_) {
            if (operator_looks) node->put_right();
        }
        for (std::uint32_t n = 0; n < 2; ++n) {
            if (!node(n).powered() && i > 100) node(n).boot();
            if (node(n).powered() && !node(n).running() && i > 100) node(n).start_process();
        }
        scheduler.run_until(now() + base::Duration::milliseconds(100));
    }
    if (!synced()) {
        throw Violation("does not come to rest: a " + node(0).status() + " (" + std::to_string(node(0).unanswered()) +
                        " unanswered;" + node(0).open_commands_text() + "), b " + node(1).status() + " (" +
                        std::to_string(node(1).unanswered()) + " unanswered;" + node(1).open_commands_text() + ")");
    }
}

// One dies for good: the other must be able to go on, also after trouble of its disk.
void World::leave_one_alone() {
    const auto dead = static_cast<std::uint32_t>(random.below(2));
    auto& survivor = node(1 - dead);
    const bool troubled = random.percent(50);
    log("for good:");
    dead_for_good = dead;
    node(dead).crash(true);
    survivor.start_clients();
    scheduler.run_until(now() + base::Duration::milliseconds(random.between(1, 5000)));
    // Before it is known that the dead one has nothing newer, the loss of both is more than can be served.
    const bool alone = survivor.running() && survivor.resource().role() == blockrep::Role::Primary &&
                       survivor.resource().replication() == blockrep::ReplicationState::Off &&
                       survivor.resource().frozen_because().empty();
    if (troubled && alone) trouble_disk(1 - dead);
    scheduler.run_until(now() + base::Duration::milliseconds(random.between(100, 5000)));
    survivor.stop_clients();
    survivor.heal_disk();
    const auto serves = [&] {
        return survivor.running() && survivor.resource().role() == blockrep::Role::Primary &&
               survivor.resource().frozen_because().empty() && survivor.unanswered() == 0 &&
               survivor.open_commands() == 0;
    };
    for (int i = 0; i < 300 && !serves(); ++i) {
        if (i > 50 && i % 10 == 0) survivor.put_right();
        scheduler.run_until(now() + base::Duration::milliseconds(100));
    }
    if (!serves()) throw Violation("does not serve alone: " + survivor.status() + survivor.open_commands_text());
    dead_for_good.reset();
    node(dead).boot();
    settle();
    compare();
}

void World::compare() {
    const auto& a = node(0).disk();
    const auto& b = node(1).disk();
    const auto sectors = std::min(a.geometry().data_size, b.geometry().data_size) / base::sector_size;
    for (std::uint64_t sector = 0; sector < sectors; ++sector) {
        if (a.read(sector) == b.read(sector)) continue;
        throw Violation("replicas differ in sector " + std::to_string(sector) + ": " + std::to_string(a.read(sector)) +
                        " and " + std::to_string(b.read(sector)));
    }
}

// ---- network
// -----------------------------------------------------------------------------------------------------------
void World::try_connect() {
    if (!link_works || stalled_from_ || !node(0).wants_link() || !node(1).wants_link()) return;
    if (node(0).connection() != 0 || node(1).connection() != 0) return;
    const auto connection = next_connection_++;
    node(0).link_opened(connection);
    if (node(0).connection() == connection && node(1).running()) node(1).link_opened(connection);
}

// A dead machine says nothing: the other side notices by its silence.
void World::break_connection(std::uint64_t connection, bool tell_both) {
    for (auto& entry : nodes_) {
        auto* node = entry.get();
        if (node->connection() != connection) continue;
        const auto delay = tell_both ? base::Duration::milliseconds(random.between(0, 5))
                                     : base::Duration::milliseconds(random.between(0, 3000));
        scheduler.after(delay, [this, node, connection] {
            if (node->connection() == connection) node->link_closed();
        });
    }
}

// ---- fencing
// ---------------------------------------------------------------------------------------------------------
void World::request_fence(std::uint32_t asker, const base::NodeIncarnation& victim) {
    log("fence requested by " + std::to_string(asker));
    fence_requests_[victim] = asker;
    if (dead_.contains(victim)) return announce_dead(victim);
    // The node with the lower number is shot later, so that one always lives.
    const auto handicap = victim.node.value == 1 ? 2000 : 0;
    const auto delay = base::Duration::milliseconds(handicap + random.between(300, 1500));
    scheduler.after(delay, [this, asker, victim, asked_by = node(asker).process()] {
        const auto found = fence_requests_.find(victim);
        if (found == fence_requests_.end() || node(asker).process() != asked_by) return;
        fence_requests_.erase(found);
        const auto index = victim.node.value - 1;
        if (node(index).powered() && node(index).life() == victim) {
            log("fencing " + std::to_string(index));
            node(index).crash(true);
            if (node(index).powered()) return;  // it had no process to kill
            scheduler.after(base::Duration::milliseconds(random.between(500, 4000)), [this, index] {
                if (!node(index).powered()) node(index).boot();
            });
        }
        announce_dead(victim);
    });
}

void World::withdraw_fence(std::uint32_t, const base::NodeIncarnation& victim) { fence_requests_.erase(victim); }

void World::announce_dead(const base::NodeIncarnation& dead) {
    dead_.insert(dead);
    for (auto& entry : nodes_) {
        auto* node = entry.get();
        scheduler.after(base::Duration::milliseconds(random.between(1, 20)), [node, dead] { node->fenced(dead); });
    }
}

void World::tell_known_deaths(Node& node) {
    for (const auto& dead : dead_) node.fenced(dead);
}

}  // namespace sim
