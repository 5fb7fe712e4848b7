#include "tests/sim/whole/world.hh"

#include <algorithm>
#include <cstdio>

#include "base/probe.hh"
#include "tests/sim/clusterfs/filesystem.hh"
#include "tests/sim/common/run_seeds.hh"

namespace sim_whole {

using base::Duration;

namespace {
using sim::filesystem_blocks;
constexpr int clients_per_node = 3;

base::Probe probe_only_copy("simulated: the only good copy has trouble");
base::Probe probe_one_way("simulated: the replication link carries one way only");
base::Probe probe_deaf("simulated: the lock network carries one way only");

}  // namespace

World::World(std::uint64_t seed, bool trace)
    : random_(seed),
      trace_(trace),
      group_(scheduler_, random_.fork(), [this](auto a, auto b) { return reach(a, b); }),
      fence_group_(scheduler_, random_.fork(), [this](auto a, auto b) { return reach(a, b); }),
      network_(scheduler_, random_.fork(), [this](auto a, auto b) {
          const bool is_deaf = deaf_ && b.value == *deaf_ + 1;
          return reach(a, b) && !is_deaf;
      }) {
    turn_knobs();
    for (std::uint32_t i = 0; i < 2; ++i) machines_[i] = std::make_unique<Machine>(*this, i, filesystem_blocks);
    prepare();
    prepare_fencing();
}

void World::turn_knobs() {
    options_.commit_interval = random_.between(Duration::milliseconds(50), Duration::seconds(5));
    options_.minimum_hold = random_.between(Duration::microseconds(100), Duration::milliseconds(10));
    options_.cache_blocks = random_.one_in(3) ? 256 : 65536;
    options_.cached_locks = random_.one_in(3) ? 40 : 131072;
    knobs_.al_extents = static_cast<std::uint32_t>(random_.between(4, random_.one_in(2) ? 16 : 200));
    knobs_.resync_chunks = static_cast<std::uint32_t>(random_.between(1, 16));
    knobs_.resync_chunk_length = std::uint64_t{16384} << random_.below(5);
    knobs_.reconnect_grace = random_.between(Duration::milliseconds(100), Duration::seconds(2));
}

void World::say(const std::string& what) {
    if (trace_) std::printf("%12.6f %s\n", static_cast<double>(scheduler_.now().nanoseconds) / 1e9, what.c_str());
}

// mkfs on one replica, and the same bytes on the other.
void World::prepare() {
    auto& device = machine(0).disk().data();
    workload_ = sim::make_bank();
    sim::make_filesystem(device, random_);
    workload_->prepare(device);
    machine(1).disk().data().become_copy_of(device);
}

bool World::reach(base::NodeId a, base::NodeId b) const {
    const auto on = [&](base::NodeId id) { return machines_[id.value - 1] && machines_[id.value - 1]->powered(); };
    if (a == b) return on(a);
    const auto awake = [&](base::NodeId id) { return machines_[id.value - 1]->awake(); };
    return on(a) && on(b) && awake(a) && awake(b) && cluster_works_;
}

void World::run() {
    for (auto& each : machines_) each->boot();
    watch_quorum();
    scheduler_.run_until(base::Instant{} + Duration::milliseconds(90));
    machine(0).command(blockrep::CommandKind::clear_bitmap);
    wait_for("both nodes mounted", [this] { return machine(0).mounted() && machine(1).mounted(); });
    const auto faults = random_.between(0, 6);
    for (std::int64_t i = 0; i < faults; ++i) {
        scheduler_.run_until(scheduler_.now() + random_.between(Duration::milliseconds(5), Duration::seconds(3)));
        fault();
    }
    scheduler_.run_until(scheduler_.now() + random_.between(Duration::milliseconds(50), Duration::seconds(1)));
    finish();
    say(sim::end_of_trace(scheduler_, random_));
}

// ---- clients
// ---------------------------------------------------------------------------------------------------------
// Who was dead before the lockspace began has been recovered when it is mounted; who dies later, when its locks are
// released.
void World::mounted(std::uint32_t index) {
    say(std::string("mounted on ") + (index == 0 ? "a" : "b"));
    auto& member = members_[index];
    for (const auto& [dead, lives] : std::map(unrecovered_)) {
        if (!machine(index).has_met(lives.back())) recovered(dead, index);
    }
    recovered(index, index);
    for (int i = 0; i < clients_per_node; ++i) client(index, member.life);
}

// A machine that slept may hear of a life whose machine has long lived again, and died again.
void World::released_dead(const base::NodeIncarnation& dead, std::uint32_t by) {
    for (const auto& [index, lives] : std::map(unrecovered_)) {
        if (std::ranges::find(lives, dead) != lives.end()) recovered(index, by);
    }
}

void World::recovered(std::uint32_t index, std::uint32_t by) {
    if (unrecovered_.erase(index) == 0) return;
    // Without a good disk of its own it has replayed on the other one's.
    const bool has_disk = machine(by).resource().disk() == blockrep::DiskState::UpToDate;
    const auto kept = workload_->marker(machine(has_disk ? by : 1 - by).disk().data(), static_cast<int>(index));
    say("node " + std::to_string(index) + " recovered up to operation " + std::to_string(kept));
    if (kept < members_[index].committed_up_to) {
        throw sim::Violation("operation " + std::to_string(members_[index].committed_up_to) + " of node " +
                             std::to_string(index) + " was promised to be durable, but only " + std::to_string(kept) +
                             " is there");
    }
    workload_->undo(static_cast<int>(index), kept, kept);
}

void World::client(std::uint32_t index, std::uint64_t life) {
    const auto longest = settling_ ? Duration::milliseconds(200) : Duration::milliseconds(8);
    scheduler_.after(random_.between(Duration::microseconds(10), longest), [this, index, life] {
        if (members_[index].life != life || !machine(index).mounted() || !working_) return;
        if (!machine(index).awake()) return client(index, life);
        if (random_.one_in(20)) return one_commit(index, life);
        one_operation(index, life);
    });
}

void World::one_operation(std::uint32_t index, std::uint64_t life) {
    const auto operation = std::make_shared<sim::ClientOperation>(workload_->next(static_cast<int>(index), random_));
    ++members_[index].busy;
    machine(index).run(operation->run, [this, index, life, operation](const base::Result<void>& outcome) {
        --members_[index].busy;
        operation->done(outcome);
        client(index, life);
    });
}

void World::one_commit(std::uint32_t index, std::uint64_t life) {
    const auto up_to = workload_->last_change(static_cast<int>(index));
    ++members_[index].busy;
    machine(index).commit([this, index, life, up_to](const base::Result<void>& outcome) {
        auto& member = members_[index];
        --member.busy;
        if (!outcome) throw sim::Violation("commit: " + outcome.error().message());
        member.committed_up_to = std::max(member.committed_up_to, up_to);
        client(index, life);
    });
}

// ---- faults
// ----------------------------------------------------------------------------------------------------------
void World::fault() {
    const auto which = static_cast<std::uint32_t>(random_.below(2));
    switch (random_.below(13)) {
        case 0:
        case 1:
        case 2:
        case 3:
            return network_fault();
        case 4:
            return break_fence_device();
        case 5:
        case 6:
            return pause(which);
        case 7:
        case 8:
            return trouble_disk(which);
        case 9:
            say("both lose power");
            power_off(0);
            return power_off(1);
        default:
            return power_off(which);
    }
}

void World::network_fault() {
    const auto which = static_cast<std::uint32_t>(random_.below(2));
    switch (random_.below(6)) {
        case 0:
            return cut_replication(some_time());
        case 1:
            return cut_cluster(some_time());
        case 2:
            return network_.reset_some(50);
        case 3:
            return cut_one_way(which);
        case 4:
            return make_deaf(which);
        default:
            return cut_everything();
    }
}

// Shorter than the token timeout, or longer: then the other one finds that it is gone, and may have it shot.
void World::pause(std::uint32_t index) {
    if (!machine(index).awake()) return;
    const auto lasts = random_.one_in(2) ? random_.between(Duration::microseconds(50), Duration::milliseconds(50))
                                         : random_.between(Duration::milliseconds(300), Duration::seconds(8));
    const bool noticed = lasts > Duration::milliseconds(900);
    say(std::string(index == 0 ? "a" : "b") + " is paused");
    machine(index).pause(lasts, [this, index, noticed] {
        say(std::string(index == 0 ? "a" : "b") + " wakes up");
        rings_change(Duration{}, noticed ? Duration::milliseconds(800) : Duration::milliseconds(5));
        try_connect();
    });
    if (!noticed) return;
    rings_change(Duration::milliseconds(900), Duration::milliseconds(2500));
    break_connection(machine(index).connection());
}

void World::trouble_disk(std::uint32_t index) {
    if (!machine(index).powered()) return;
    const bool spare = machine(0).is_full_replica() && machine(1).is_full_replica();
    if (!spare || machine(1 - index).disk_is_troubled()) probe_only_copy.hit();
    Machine::DiskTrouble trouble;
    const auto kinds = random_.between(1, 15);
    trouble.reads = (kinds & 1) != 0;
    trouble.writes = (kinds & 2) != 0;
    trouble.flushes = (kinds & 4) != 0;
    trouble.metadata = (kinds & 8) != 0;
    trouble.percent = random_.one_in(2) ? 100 : static_cast<std::uint64_t>(random_.between(1, 60));
    say(std::string("trouble with the disk of ") + (index == 0 ? "a" : "b") + ", kinds " + std::to_string(kinds));
    machine(index).trouble_disk(trouble, random_.between(Duration::milliseconds(1), Duration::milliseconds(600)));
}

void World::power_off(std::uint32_t index) {
    if (!machine(index).powered()) return;
    const auto connection = machine(index).connection();
    machine(index).lose_power();
    auto& member = members_[index];
    ++member.life;
    member.busy = 0;
    unrecovered_[index].push_back(machine(index).life());
    break_connection(connection);
    rings_change(Duration::milliseconds(300), Duration::seconds(1));
    power_on_later(index);
}

void World::power_on_later(std::uint32_t index) {
    scheduler_.after(random_.between(Duration::milliseconds(500), Duration::seconds(8)), [this, index] {
        if (machine(index).powered()) return;
        machine(index).boot();
        rings_change(Duration::milliseconds(300), Duration::seconds(1));
    });
}

// A ring with both nodes stands some time after they reach each other.
void World::watch_quorum() {
    const bool together = machine(0).awake() && machine(1).awake() && cluster_works_;
    if (!together) together_since_ = scheduler_.now();
    if (scheduler_.now() - together_since_ > Duration::milliseconds(1100)) {
        for (auto& each : machines_) {
            if (!each->quorate()) each->become_quorate();
        }
    }
    scheduler_.after(Duration::milliseconds(100), [this] { watch_quorum(); });
}

// Both groups live in one ring: they learn of it in the same instant.
void World::rings_change(base::Duration least, base::Duration most) {
    const auto when = random_.between(least, most);
    ++changes_under_way_;
    group_.topology_changed(when, when);
    fence_group_.topology_changed(when, when);
    scheduler_.after(when, [this] { --changes_under_way_; });
}

void World::lost_power(base::NodeId node) {
    group_.power_lost(node);
    fence_group_.power_lost(node);
    rings_change(Duration::milliseconds(900), Duration::milliseconds(2500));
}

Duration World::some_time() {
    return random_.one_in(2) ? random_.between(Duration::milliseconds(1), Duration::milliseconds(800))
                             : random_.between(Duration::seconds(1), Duration::seconds(12));
}

// Nobody can be proven dead while the BMCs fail: everybody waits, and goes on when all is healed.
void World::cut_everything() {
    const auto lasts = some_time();
    if (random_.one_in(2)) {
        for (auto& [name, device] : fence_devices_) device->set_mode(sim_fencing::DeviceMode::fail);
    }
    cut_replication(lasts);
    cut_cluster(lasts + random_.between(Duration{}, Duration::milliseconds(300)));
    scheduler_.after(lasts, [this] {
        for (auto& [name, device] : fence_devices_) device->set_mode(sim_fencing::DeviceMode::good);
    });
}

void World::cut_replication(Duration lasts) {
    if (!link_works_) return;
    say("replication link cut");
    link_works_ = false;
    break_connection(machine(0).connection() != 0 ? machine(0).connection() : machine(1).connection());
    scheduler_.after(lasts, [this] {
        say("replication link heals");
        link_works_ = true;
        try_connect();
    });
}

void World::cut_cluster(Duration lasts) {
    if (!cluster_works_) return;
    say("cluster network cut");
    cluster_works_ = false;
    network_.reset_some(100);
    rings_change(Duration::milliseconds(500), Duration::milliseconds(1500));
    scheduler_.after(lasts, [this] {
        say("cluster network heals");
        cluster_works_ = true;
        rings_change(Duration::milliseconds(100), Duration::milliseconds(800));
    });
}

// What one side sends on the replication link waits for the network: it arrives late, or the connection ends.
void World::cut_one_way(std::uint32_t from) {
    if (stalled_from_) return;
    probe_one_way.hit();
    const auto lasts = some_time();
    say(std::string("nothing of ") + (from == 0 ? "a" : "b") + " gets over the replication link");
    stalled_from_ = from;
    const auto connection = machine(from).connection();
    if (lasts > Duration::seconds(1)) {
        scheduler_.after(Duration::milliseconds(700), [this, connection] { break_connection(connection); });
    }
    scheduler_.after(lasts, [this] {
        say("the replication link carries both ways");
        const auto from_now = *std::exchange(stalled_from_, std::nullopt);
        for (auto& each : std::exchange(held_frames_, {})) carry(from_now, each.connection, each.frame, each.payload);
        try_connect();
    });
}

// Of the lock network one direction fails at once; the rings find out, and count it as a cut.
void World::make_deaf(std::uint32_t index) {
    if (deaf_ || !cluster_works_) return;
    probe_deaf.hit();
    const auto lasts = some_time();
    say(std::string("nothing gets to ") + (index == 0 ? "a" : "b") + " over the lock network");
    deaf_ = index;
    const auto noticed = random_.between(Duration::milliseconds(400), Duration::milliseconds(1500));
    if (noticed < lasts) scheduler_.after(noticed, [this, left = lasts - noticed] { cut_cluster(left); });
    scheduler_.after(lasts, [this] { deaf_.reset(); });
}

// ---- the replication link
// ----------------------------------------------------------------------------------------------
void World::try_connect() {
    auto& a = machine(0);
    auto& b = machine(1);
    if (stalled_from_ || !a.awake() || !b.awake()) return;
    if (!link_works_ || !a.wants_link() || !b.wants_link() || a.connection() != 0 || b.connection() != 0) return;
    const auto connection = next_connection_++;
    a.link_opened(connection);
    if (a.connection() == connection && b.powered()) b.link_opened(connection);
}

void World::carry(std::uint32_t from, std::uint64_t connection, const blockrep::Frame& frame,
                  const blockrep::Payload& payload) {
    if (stalled_from_ == from) return held_frames_.push_back({connection, frame, payload});
    other(from).frame_arrived(connection, frame, payload);
}

void World::break_connection(std::uint64_t connection) {
    if (connection == 0) return;
    for (auto& each : machines_) {
        auto* target = each.get();
        if (target->connection() != connection) continue;
        scheduler_.after(random_.between(Duration{}, Duration::seconds(2)), [target, connection] {
            if (target->connection() == connection) target->link_closed();
        });
    }
}

// ---- fencing
// ---------------------------------------------------------------------------------------------------------
void World::prepare_fencing() {
    for (std::uint32_t i = 0; i < 2; ++i) {
        const std::string name(1, static_cast<char>('a' + i));
        fencing_settings_.nodes[base::NodeId{i + 1}] = {
            name, i == 0 ? Duration::seconds(4) : Duration{}, {{"bmc-" + name}}};
        sim_fencing::Device::Power power{[this, i] { return machine(i).powered(); },
                                         [this, i](bool on) {
                                             say(std::string("the BMC acts on ") + (i == 0 ? "a" : "b"));
                                             if (!on) power_off(i);
                                         }};
        fence_devices_["bmc-" + name] =
            std::make_unique<sim_fencing::Device>(scheduler_, random_.fork(), std::move(power));
    }
    fencing_settings_.verify_limit = Duration::seconds(5);
}

void World::check_dead(const base::NodeIncarnation& life) const {
    const auto& target = *machines_[life.node.value - 1];
    if (!life.incarnation.is_nil() && target.powered() && target.life() == life) {
        throw sim::Violation("node " + std::to_string(life.node.value) + " is called dead and lives");
    }
}

void World::break_fence_device() {
    const std::string name = random_.one_in(2) ? "bmc-a" : "bmc-b";
    const auto mode = static_cast<sim_fencing::DeviceMode>(random_.below(sim_fencing::device_modes));
    say(name + " is in mode " + std::to_string(static_cast<int>(mode)));
    fence_device(name).set_mode(mode);
    scheduler_.after(random_.between(Duration::milliseconds(200), Duration::seconds(20)),
                     [this, name] { fence_device(name).set_mode(sim_fencing::DeviceMode::good); });
}

// ---- the end
// -----------------------------------------------------------------------------------------------------------
void World::wait_for(const char* what, const std::function<bool()>& condition) {
    const auto limit = scheduler_.now() + Duration::seconds(120);
    while (!condition()) {
        if (scheduler_.now() > limit || !scheduler_.step()) {
            throw sim::Violation(std::string("it never came to this: ") + what + "\na " + machine(0).describe() +
                                 "\nb " + machine(1).describe());
        }
    }
}

void World::unmounted(std::uint32_t index) { gone_.insert(index); }

// What was cut heals, and who was asked to be shot is: then nothing happens any more.
void World::settle() {
    settling_ = true;
    std::uint64_t boots = 0;
    do {
        boots = machine(0).boots() + machine(1).boots();
        scheduler_.run_until(scheduler_.now() + Duration::seconds(12));
        wait_for("both nodes mounted, all recovered, nobody to be fenced", [this] {
            if (!machine(0).mounted() || !machine(1).mounted() || !unrecovered_.empty()) return false;
            return !machine(0).wants_somebody_fenced() && !machine(1).wants_somebody_fenced();
        });
    } while (boots != machine(0).boots() + machine(1).boots());
}

void World::finish() {
    for (auto& [name, device] : fence_devices_) device->set_mode(sim_fencing::DeviceMode::good);
    settle();
    working_ = false;
    wait_for("every operation ended", [this] { return members_[0].busy + members_[1].busy == 0; });
    for (auto& each : machines_) each->unmount();
    wait_for("both nodes unmounted", [this] { return gone_.size() == 2; });
    wait_for("both replicas in sync", [this] {
        for (auto& each : machines_) {
            if (!each->powered() || each->resource().disk() != blockrep::DiskState::UpToDate) return false;
            if (each->resource().replication() != blockrep::ReplicationState::Established) return false;
        }
        return true;
    });
    for (std::uint64_t number = 0; number < filesystem_blocks; ++number) {
        if (machine(0).disk().data().has_same(machine(1).disk().data(), number)) continue;
        throw sim::Violation("replicas differ in block " + std::to_string(number));
    }
    for (auto& each : machines_) workload_->check(each->disk().data());
}

}  // namespace sim_whole
