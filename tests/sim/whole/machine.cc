#include "tests/sim/whole/machine.hh"

#include "base/probe.hh"
#include "tests/sim/common/run_seeds.hh"
#include "tests/sim/whole/world.hh"

namespace sim_whole {

using namespace clusterfs;

namespace {

base::Probe probe_paused("simulated: a machine is paused");
base::Probe probe_shot_asleep("simulated: a paused machine is shot");

}  // namespace

Machine::Machine(World& world, std::uint32_t index, std::uint64_t data_blocks)
    : world_(world), index_(index), disk_(data_blocks, world.random().uuid()) {}

base::Duration Machine::some(std::int64_t low, std::int64_t high) {
    return base::Duration::microseconds(world_.random().between(low, high));
}

// Nothing reaches a life that has ended.
void Machine::later(base::Duration delay, std::function<void()> work) {
    world_.scheduler().after(delay, [this, run = run_, work = std::move(work)] {
        if (run == run_ && powered()) when_awake(work);
    });
}

void Machine::when_awake(std::function<void()> work) {
    if (paused_) return asleep_.push_back(std::move(work));
    work();
}

void Machine::pause(base::Duration lasts, std::function<void()> awake) {
    paused_ = true;
    probe_paused.hit();
    world_.scheduler().after(lasts, [this, run = run_, awake = std::move(awake)] {
        if (run != run_ || !powered()) return probe_shot_asleep.hit();
        paused_ = false;
        awake();
        while (run == run_ && powered() && !paused_ && !asleep_.empty()) {
            const auto work = std::move(asleep_.front());
            asleep_.pop_front();
            work();
        }
    });
}

void Machine::boot() {
    ++run_;
    life_ = {base::NodeId{index_ + 1}, world_.random().uuid()};
    blockrep::Settings settings;
    settings.name = index_ == 0 ? "a" : "b";
    settings.self = life_;
    settings.peer = base::NodeId{2 - index_};
    settings.allow_two_primaries = true;
    settings.al_extents = world_.knobs().al_extents;
    settings.resync_chunks = world_.knobs().resync_chunks;
    settings.resync_chunk_length = world_.knobs().resync_chunk_length;
    settings.reconnect_grace = world_.knobs().reconnect_grace;
    settings.seed = world_.random().next();
    resource_ = std::make_unique<blockrep::Resource>(settings);
    world_.say("node " + settings.name + " boots as " + life_.incarnation.text());
    start_fencer();
    step(blockrep::DiskOpened{disk_.size(), disk_.metadata(), 1});
    step(blockrep::CommandGiven{2, blockrep::CommandKind::connect});
    for (const auto& dead : fencer_->lives().dead()) fenced(dead);
    later(base::Duration::milliseconds(100), [this] { command(blockrep::CommandKind::promote); });
}

void Machine::lose_power() {
    if (!powered()) return;
    world_.say(std::string("node ") + (index_ == 0 ? "a" : "b") + " loses power");
    ++run_;
    mount_.reset();
    mounted_ = false;
    paused_ = false;
    asleep_.clear();
    trouble_ = {};
    disk_requests_ = 0;
    disk_failed_ = false;
    quorate_ = false;
    lockspace_.reset();
    resource_.reset();
    fencer_.reset();
    wishes_.clear();
    fencer_armed_.reset();
    device_requests_.clear();
    held_.clear();
    names_.clear();
    peers_.reset();
    finished_.clear();
    resource_armed_.reset();
    lockspace_armed_.reset();
    mount_armed_.reset();
    world_.lost_power(life_.node);
    connection_ = 0;
    wants_link_ = false;
    disk_.lose_power(world_.random());
}

// ---- the mount
// ---------------------------------------------------------------------------------------------------------
void Machine::start_mount() {
    auto options = world_.mount_options();
    options.self = life_;
    mount_ = std::make_unique<Mount>(options, disk_.data().block_count());
    step(blockrep::ClientOpened{});
    call([this](auto now, auto wall, Actions& actions) { mount_->start(now, wall, actions); });
}

void Machine::call(const std::function<void(base::Instant, base::WallTime, Actions&)>& work) {
    if (!mount_) return;
    Actions actions;
    const auto now = world_.scheduler().now();
    work(now, base::WallTime{1'700'000'000'000'000'000 + now.nanoseconds}, actions);
    if (world_.random().one_in(32)) mount_->check_invariants();
    arm_mount();
    for (auto& action : actions) perform(action);
    for (auto& finish : std::exchange(finished_, {})) finish();
}

void Machine::happened(Event event) {
    call([&](auto now, auto wall, Actions& actions) { mount_->step(std::move(event), now, wall, actions); });
}

void Machine::run(Mount::Operation operation, Mount::Completion done) {
    call([&](auto now, auto wall, Actions& actions) {
        mount_->run(std::move(operation), std::move(done), now, wall, actions);
    });
}

void Machine::commit(Mount::Completion done) {
    call([&](auto now, auto wall, Actions& actions) { mount_->commit(std::move(done), now, wall, actions); });
}

void Machine::unmount() {
    call([&](auto now, auto wall, Actions& actions) { mount_->stop(now, wall, actions); });
}

void Machine::arm_mount() {
    const auto deadline = mount_->next_deadline();
    if (!deadline || (mount_armed_ && *mount_armed_ <= *deadline)) return;
    mount_armed_ = deadline;
    later(*deadline - world_.scheduler().now(), [this] {
        mount_armed_.reset();
        if (!mount_) return;
        const auto due = mount_->next_deadline();
        if (due && *due <= world_.scheduler().now()) return happened(TimePassed{});
        arm_mount();
    });
}

void Machine::perform(Action& action) {
    if (auto* read = std::get_if<ReadBlocks>(&action)) {
        read_blocks(*read);
    } else if (auto* write = std::get_if<WriteBlocks>(&action)) {
        write_blocks(*write);
    } else if (auto* flush = std::get_if<FlushDevice>(&action)) {
        ask_device(blockrep::FlushRequested{next_ticket_}, [this, ticket = flush->ticket](auto result) {
            if (!result) return refused(result.error());
            happened(DeviceFlushed{ticket, {}});
        });
    } else if (auto* request = std::get_if<RequestLock>(&action)) {
        request_lock(*request);
    } else if (auto* release = std::get_if<ReleaseLock>(&action)) {
        release_lock(*release);
    } else if (auto* dead = std::get_if<ReleaseDead>(&action)) {
        world_.released_dead(dead->node, index_);
        step(dlm::Event(dlm::DeadReleaseRequested{dead->node}));
    } else if (auto* forget = std::get_if<InvalidateKernel>(&action)) {
        later(some(20, 800), [this, ticket = forget->ticket] { happened(KernelInvalidated{ticket}); });
    } else if (std::holds_alternative<Started>(action)) {
        finished_.push_back([this] {
            mounted_ = true;
            world_.mounted(index_);
        });
    } else if (auto* read_only = std::get_if<BecomeReadOnly>(&action)) {
        throw sim::Violation("a mount became read-only: " + read_only->reason.message());
    } else if (auto* stopped = std::get_if<Stopped>(&action)) {
        finished_.push_back([this, outcome = stopped->outcome] {
            if (!outcome) throw sim::Violation("a mount stopped: " + outcome.error().message());
            mounted_ = false;
            for (const auto& [id, name] : names_) step(dlm::Event(dlm::UnlockRequested{id, {}, dlm::ValueBytes{}}));
            held_.clear();
            names_.clear();
            step(dlm::Event(dlm::LeaveRequested{}));
        });
    }
}

std::string Machine::describe() const {
    if (!powered()) return "off";
    base::JsonWriter json;
    json.begin_array();
    fencer_->describe(world_.scheduler().now(), json);
    resource_->describe(json, world_.scheduler().now());
    if (lockspace_) lockspace_->describe(json, world_.scheduler().now(), false);
    if (mount_) mount_->describe(json, world_.scheduler().now());
    json.end_array();
    return json.text();
}

}  // namespace sim_whole
