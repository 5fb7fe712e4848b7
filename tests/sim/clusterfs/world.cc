#include "tests/sim/clusterfs/world.hh"

#include <algorithm>
#include <cstdio>

#include "tests/sim/clusterfs/filesystem.hh"

namespace sim {

using base::Duration;

namespace {
constexpr int clients_per_node = 4;
}  // namespace

World::World(const WorldOptions& options)
    : how_(options),
      random_(options.seed),
      device_(filesystem_blocks),
      locks_(scheduler_, random_.fork()),
      nodes_(options.one_node ? 1 : 2) {
    const bool bank = how_.workload == "bank" || (how_.workload.empty() && random_.one_in(3));
    workload_ = bank ? make_bank() : make_tree();
    make_filesystem(device_, random_);
    workload_->prepare(device_);
    options_.commit_interval = random_.between(Duration::milliseconds(50), Duration::seconds(5));
    options_.minimum_hold = random_.between(Duration::microseconds(100), Duration::milliseconds(10));
    options_.cache_blocks = random_.one_in(3) ? 256 : 65536;
    options_.cached_locks = random_.one_in(3) ? 40 : 131072;
}

World::~World() = default;

void World::say(const std::string& what) {
    if (how_.trace) std::printf("%12.6f %s\n", static_cast<double>(scheduler_.now().nanoseconds) / 1e9, what.c_str());
}

// Work until it is done or the power fails, once; then whatever is there must be right.
void World::run_one_node() {
    writes_before_ = device_.writes();
    boot(0);
    while (last_operation_ < how_.operations || members_[0].busy_clients > 0) {
        if (!step()) throw Violation("nothing is planned any more");
    }
    finish();
    writes_of_work_ = device_.writes() - writes_before_;
}

bool World::step() {
    if (how_.cut_after_writes != 0 && !cut_ && device_.writes() - writes_before_ >= how_.cut_after_writes) {
        random_ = Random(how_.seed * 31 + how_.luck);
        cut_ = true;
        working_ = true;
        power_loss();
    }
    return scheduler_.step();
}

void World::run() {
    if (how_.one_node) return run_one_node();
    for (int index = 0; index < nodes_; ++index) {
        scheduler_.after(random_.between(Duration{0}, Duration::milliseconds(50)), [this, index] { boot(index); });
    }
    faults_ = !random_.one_in(5);
    if (faults_)
        scheduler_.after(random_.between(Duration::milliseconds(1), Duration::seconds(1)), [this] { fault(); });
    watch();
    scheduler_.run_until(base::Instant{} + random_.between(Duration::milliseconds(200), Duration::seconds(6)));
    finish();
    if (random_.one_in(2)) damage();
    say(end_of_trace(scheduler_, random_));
}

// With both nodes up and recovered, something must end within a second.
void World::watch() {
    const auto awake = [this](int index) { return members_[index].started && !members_[index].node->is_paused(); };
    const bool calm = awake(0) && awake(1) && unrecovered_.empty() && working_ && !damaged_;
    if (!calm) last_progress_ = scheduler_.now();
    if (scheduler_.now() - last_progress_ > Duration::seconds(1)) throw Violation("nothing moves\n" + describe());
    if (working_) scheduler_.after(Duration::milliseconds(50), [this] { watch(); });
}

std::string World::describe() const {
    auto text = locks_.describe();
    for (const auto& member : members_) {
        if (member.node) text += member.node->describe() + "\n";
    }
    return text;
}

void World::boot(int index) {
    auto& member = members_[index];
    if (member.node || !working_) return;
    auto options = options_;
    options.self = {{static_cast<std::uint32_t>(index + 1)}, random_.uuid()};
    ++lives_[index];
    member.dead_before = fenced_;
    say("boot " + std::to_string(index));
    Node::Callbacks callbacks;
    callbacks.started = [this, index] { started(index); };
    callbacks.stopped = [this, index](base::Result<void> outcome) { stopped(index, outcome); };
    callbacks.forget_in_kernel = [this, index](clusterfs::InodeNumber inode) { members_[index].kernel.erase(inode); };
    callbacks.became_read_only = [this, index](const base::Error& reason) { mount_ends(index, reason); };
    callbacks.released_dead = [this](base::NodeIncarnation dead) { released_dead(dead); };
    member.node = std::make_unique<Node>(Node::Environment{scheduler_, device_, locks_, random_}, index, options,
                                         std::move(callbacks));
    member.node->start();
}

void World::started(int index) {
    auto& member = members_[index];
    say("started " + std::to_string(index));
    member.started = true;
    // Whoever starts has replayed what nobody owned when it joined. Who dies later is recovered when its locks are
    // released.
    for (const auto dead : member.dead_before) recovered(dead);
    recovered(index);
    for (int i = 0; i < clients_per_node; ++i) client(index, lives_[index]);
}

// A node that slept may hear of a life whose node has long lived again, and died again.
void World::released_dead(const base::NodeIncarnation& dead) {
    for (const auto& [index, lives] : std::map(unrecovered_)) {
        if (std::ranges::find(lives, dead) != lives.end()) recovered(index);
    }
}

void World::recovered(int index) {
    if (unrecovered_.erase(index) == 0) return;
    fenced_.erase(index);
    if (damaged_) return;  // the marker may be where the damage is
    const auto kept = workload_->marker(device_, index);
    const bool lost_cache = unflushed_lost_.erase(index) != 0;
    say("node " + std::to_string(index) + " recovered up to operation " + std::to_string(kept));
    if (kept < members_[index].committed_up_to) {
        throw Violation("operation " + std::to_string(members_[index].committed_up_to) + " of node " +
                        std::to_string(index) + " was promised to be durable, but only " + std::to_string(kept) +
                        " is there");
    }
    workload_->undo(index, kept, lost_cache ? members_[index].committed_up_to : kept);
    members_[index].committed_up_to = kept;
}

void World::client(int index, std::uint64_t life) {
    scheduler_.after(random_.between(Duration::microseconds(10), Duration::milliseconds(4)), [this, index, life] {
        auto& member = members_[index];
        if (lives_[index] != life || !member.node || !member.started || member.stopping || !working_) return;
        if (how_.operations != 0 && last_operation_ >= how_.operations) return;
        if (random_.one_in(nodes_ == 1 ? 3 : 25)) return one_commit(index, life);
        one_operation(index, life);
    });
}

void World::one_operation(int index, std::uint64_t life) {
    const auto number = ++last_operation_;
    auto operation = std::make_shared<ClientOperation>(workload_->next(index, random_));
    ++members_[index].busy_clients;
    if (operation->task) return one_task(index, life, number, operation);
    members_[index].node->run(
        operation->run, [this, index, life, number, operation](const base::Result<void>& outcome) {
            --members_[index].busy_clients;
            last_progress_ = scheduler_.now();
            say("node " + std::to_string(index) + " #" + std::to_string(number) + " " + operation->text +
                (outcome ? "" : ": " + outcome.error().message()));
            if (is_refused(outcome)) return client(index, life);
            operation->done(outcome);
            if (operation->changed) {
                for (const auto inode : operation->changed()) changed(index, inode);
            }
            // Not inside the mount: as the driver does when it makes the reply.
            scheduler_.after(Duration{0}, [this, index, life, operation] { keep_in_kernel(index, life, *operation); });
            after_operation(index, life, operation);
        });
}

void World::one_task(int index, std::uint64_t life, std::uint64_t number, std::shared_ptr<ClientOperation> operation) {
    say("node " + std::to_string(index) + " #" + std::to_string(number) + " begins " + operation->text);
    TaskContext context{*members_[index].node, [this, index](clusterfs::InodeNumber inode) { changed(index, inode); },
                        [this, index, life, number, operation] {
                            --members_[index].busy_clients;
                            last_progress_ = scheduler_.now();
                            say("node " + std::to_string(index) + " #" + std::to_string(number) + " ends");
                            client(index, life);
                        }};
    operation->task(std::move(context));
}

void World::changed(int index, clusterfs::InodeNumber inode) {
    say("node " + std::to_string(index) + " changes inode " + std::to_string(inode) + ", change " +
        std::to_string(workload_->last_change(index)));
    const auto& other = members_[1 - index];
    if (!other.node || !other.kernel.contains(inode)) return;
    throw Violation("inode " + std::to_string(inode) + " changed while another kernel kept it");
}

void World::keep_in_kernel(int index, std::uint64_t life, const ClientOperation& operation) {
    auto& member = members_[index];
    if (lives_[index] != life || !member.node) return;
    for (const auto inode : operation.read) {
        if (member.node->mount().may_cache(inode)) member.kernel.insert(inode);
        if (random_.one_in(3)) member.node->mount().note_read_served(inode);
    }
}

// The second half of some requests: the driver's deletion of what lost its last name.
void World::after_operation(int index, std::uint64_t life, std::shared_ptr<ClientOperation> operation) {
    if (!operation->follow_up) return client(index, life);
    scheduler_.after(Duration{0}, [this, index, life, operation] {
        auto& member = members_[index];
        if (lives_[index] != life || !member.node || member.stopping) return;
        auto more = operation->follow_up();
        if (!more) return client(index, life);
        ++member.busy_clients;
        member.node->run(more, [this, index, life, operation](const base::Result<void>& outcome) {
            --members_[index].busy_clients;
            if (is_refused(outcome)) return client(index, life);
            if (!outcome) throw Violation("follow-up of " + operation->text + ": " + outcome.error().message());
            after_operation(index, life, operation);
        });
    });
}

void World::one_commit(int index, std::uint64_t life) {
    const auto up_to = workload_->last_change(index);
    ++members_[index].busy_clients;
    if (random_.one_in(2)) {
        const auto what = random_.one_in(2) ? clusterfs::FileData::replaces_old : clusterfs::FileData::becomes_visible;
        members_[index].node->mount().note_data_written(what, clusterfs::InodeNumber{});
    }
    members_[index].node->commit([this, index, life, up_to](const base::Result<void>& outcome) {
        auto& member = members_[index];
        --member.busy_clients;
        if (is_refused(outcome)) return client(index, life);
        if (!outcome) throw Violation("commit: " + outcome.error().message());
        member.committed_up_to = std::max(member.committed_up_to, up_to);
        client(index, life);
    });
}

void World::crash(int index) {
    auto& member = members_[index];
    if (!member.node) return;
    say("crash " + std::to_string(index));
    const auto life = member.node->life();
    const auto committed = member.committed_up_to;
    locks_.crashed(life);
    member.node.reset();
    member = Member{};
    member.committed_up_to = committed;
    unrecovered_[index].push_back(life);
    device_.node_crashed(index, random_);
    ++lives_[index];
    scheduler_.after(random_.between(Duration::milliseconds(1), Duration::milliseconds(500)), [this, index, life] {
        say("fenced " + std::to_string(index));
        if (unrecovered_.contains(index)) fenced_.insert(index);
        locks_.fenced(life);
        scheduler_.after(random_.between(Duration{0}, Duration::milliseconds(800)), [this, index] { boot(index); });
    });
}

void World::power_loss() {
    say("power lost");
    for (int index = 0; index < nodes_; ++index) crash(index);
    locks_.forget_everything();
    for (const auto& [dead, lives] : unrecovered_) {
        fenced_.insert(dead);
        unflushed_lost_.insert(dead);
    }
    device_.power_lost(random_);
    workload_->check_structure(device_);
}

// Some are shot before they wake up, unless the end has come: who is left then must find somebody to recover it.
void World::pause(int index) {
    auto& member = members_[index];
    if (!member.node || member.node->is_paused()) return;
    const auto longest = random_.one_in(2) ? Duration::milliseconds(20) : Duration::seconds(2);
    const auto lasts = random_.between(Duration::microseconds(50), longest);
    say("pause " + std::to_string(index));
    member.node->pause(lasts);
    if (!random_.one_in(3)) return;
    scheduler_.after(random_.between(Duration{}, lasts), [this, index, life = lives_[index]] {
        if (lives_[index] == life && faults_) crash(index);
    });
}

void World::fault() {
    if (!faults_) return;
    if (random_.one_in(4)) {
        power_loss();
    } else if (random_.one_in(3)) {
        pause(static_cast<int>(random_.below(static_cast<std::uint64_t>(nodes_))));
    } else {
        crash(static_cast<int>(random_.below(static_cast<std::uint64_t>(nodes_))));
    }
    scheduler_.after(random_.between(Duration::milliseconds(1), Duration::seconds(2)), [this] { fault(); });
}

void World::wait_for(const char* what, const std::function<bool()>& condition) {
    const auto limit = scheduler_.now() + Duration::seconds(200);
    while (!condition()) {
        if (scheduler_.now() > limit || !step()) {
            throw Violation(std::string("it never came to this: ") + what + "\n" + describe());
        }
    }
}

void World::stopped(int index, const base::Result<void>& outcome) {
    auto& member = members_[index];
    say("stopped " + std::to_string(index) + (outcome ? "" : ": " + outcome.error().message()));
    if (!outcome) return mount_ends(index, outcome.error());
    member.committed_up_to = workload_->last_change(index);
    member.started = false;
    const auto life = member.node->life();
    scheduler_.after(Duration::milliseconds(10), [this, index, life, number = lives_[index]] {
        if (lives_[index] != number) return;
        locks_.leave(life);
        members_[index].node.reset();
    });
}

// No more faults: everybody comes back, everything that was begun ends, both unmount.
void World::finish() {
    faults_ = false;
    const bool cut_before = cut_;
    wait_for("both nodes mounted", [this] { return members_[0].started && (nodes_ == 1 || members_[1].started); });
    working_ = false;
    wait_for("every operation ended",
             [this] { return members_[0].busy_clients + members_[1].busy_clients == 0 && unrecovered_.empty(); });
    for (int index = 0; index < nodes_; ++index) {
        if (!members_[index].node) continue;
        members_[index].stopping = true;
        members_[index].node->stop();
    }
    wait_for("both nodes unmounted", [this] { return !members_[0].node && !members_[1].node; });
    if (cut_ != cut_before) return finish();
    workload_->check(device_);
}

}  // namespace sim
