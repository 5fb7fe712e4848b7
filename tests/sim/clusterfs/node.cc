#include "tests/sim/clusterfs/node.hh"

#include <utility>

#include "base/probe.hh"

namespace sim {

using namespace clusterfs;

namespace {

base::Probe probe_paused("simulated: a node is paused");
base::Probe probe_died_paused("simulated: a paused node is fenced");
base::Probe probe_append_awaited("simulated: what was appended is waited for");
base::Probe probe_unreadable("simulated: a block cannot be read");

}  // namespace

Node::Node(Environment environment, int index, MountOptions options, Callbacks callbacks)
    : world_(environment),
      index_(index),
      life_(options.self),
      callbacks_(std::move(callbacks)),
      mount_(std::make_unique<Mount>(options, environment.device.block_count())) {}

Node::~Node() { *alive_ = false; }

void Node::start() {
    world_.locks.join(life_, [this](Event event) {
        if (const auto* granted = std::get_if<LockGranted>(&event)) check_data_is_stable(granted->name, "granted to");
        when_awake([this, event = std::move(event)] { happened(event); });
    });
    call([this](auto now, auto wall, Actions& actions) { mount_->start(now, wall, actions); });
}

void Node::pause(base::Duration lasts) {
    if (std::exchange(paused_, true)) return;
    probe_paused.hit();
    world_.scheduler.after(lasts, [this, alive = alive_] {
        if (!*alive) return probe_died_paused.hit();
        paused_ = false;
        while (*alive && !paused_ && !waiting_.empty()) {
            const auto work = std::move(waiting_.front());
            waiting_.pop_front();
            work();
        }
    });
}

void Node::when_awake(std::function<void()> work) {
    if (paused_) return waiting_.push_back(std::move(work));
    work();
}

void Node::call(const std::function<void(base::Instant, base::WallTime, Actions&)>& work) {
    Actions actions;
    const auto now = world_.scheduler.now();
    work(now, base::WallTime{1'700'000'000'000'000'000 + now.nanoseconds}, actions);
    if (world_.random.one_in(16)) mount_->check_invariants();
    arm_timer();
    for (auto& action : actions) perform(action);
    for (auto& finish : std::exchange(finished_, {})) finish();
}

void Node::happened(Event event) {
    call([&](auto now, auto wall, Actions& actions) { mount_->step(std::move(event), now, wall, actions); });
}

void Node::run(Mount::Operation operation, Mount::Completion done) {
    when_awake([this, operation = std::move(operation), done = std::move(done)] {
        call([&](auto now, auto wall, Actions& actions) { mount_->run(operation, done, now, wall, actions); });
    });
}

void Node::commit(Mount::Completion done) {
    when_awake([this, done = std::move(done)] {
        call([&](auto now, auto wall, Actions& actions) { mount_->commit(done, now, wall, actions); });
    });
}

void Node::unpin(const LockName& name) {
    when_awake([this, name] {
        call([&](auto now, auto wall, Actions& actions) { mount_->unpin(name, now, wall, actions); });
    });
}

void Node::stop() {
    when_awake([this] { call([this](auto now, auto wall, Actions& actions) { mount_->stop(now, wall, actions); }); });
}

// Nothing reaches a life that has ended.
void Node::after_io(std::function<void()> device, std::function<void()> then) {
    const auto delay = world_.random.between(base::Duration::microseconds(20), base::Duration::microseconds(800));
    world_.scheduler.after(delay, [this, alive = alive_, device = std::move(device), then = std::move(then)] {
        if (!*alive) return;
        device();
        when_awake(then);
    });
}

void Node::later(std::function<void()> work) {
    world_.scheduler.after({}, [this, alive = alive_, work = std::move(work)] {
        if (*alive) when_awake(work);
    });
}

void Node::read_data(const std::vector<BlockNumber>& numbers,
                     std::function<void(const std::map<BlockNumber, Block>&)> done) {
    const auto blocks = std::make_shared<std::map<BlockNumber, Block>>();
    after_io(
        [this, numbers, blocks] {
            for (const auto number : numbers) (*blocks)[number] = world_.device.current(number);
        },
        [blocks, done = std::move(done)] { done(*blocks); });
}

void Node::append_data(InodeNumber inode, const std::map<BlockNumber, Block>& blocks) {
    const auto id = ++last_append_;
    appends_[id] = inode;
    write_data(inode, blocks, false, [this, id] { appended(id); });
}

void Node::appended(std::uint64_t id) {
    appends_.erase(id);
    std::vector<std::function<void()>> go;
    std::erase_if(waiters_, [&](Waiter& waiter) {
        waiter.appends.erase(id);
        if (!waiter.appends.empty()) return false;
        go.push_back(std::move(waiter.then));
        return true;
    });
    for (const auto& then : go) then();
}

void Node::when_written(InodeNumber inode, std::function<void()> then) {
    when_written([inode](InodeNumber of) { return of == inode; }, std::move(then));
}

void Node::when_written(const std::function<bool(InodeNumber)>& concerns, std::function<void()> then) {
    Waiter waiter;
    for (const auto& [id, inode] : appends_) {
        if (concerns(inode)) waiter.appends.insert(id);
    }
    if (waiter.appends.empty()) return then();
    probe_append_awaited.hit();
    waiter.then = std::move(then);
    waiters_.push_back(std::move(waiter));
}

bool Node::reader_follows(InodeNumber inode) const { return mount_->reader_follows(inode, world_.scheduler.now()); }

void Node::write_data(InodeNumber inode, const std::map<BlockNumber, Block>& blocks, bool stable,
                      std::function<void()> done) {
    std::vector<Device::Request> requests;
    for (const auto& [number, block] : blocks) {
        const auto image = std::make_shared<Block>(block);
        requests.push_back(world_.device.begin_write(index_, number, {image}, stable, inode));
    }
    after_io(
        [this, requests] {
            for (const auto request : requests) world_.device.end_write(request);
        },
        std::move(done));
}

std::vector<std::shared_ptr<Block>> Node::copies(BlockNumber first, std::uint32_t count) const {
    std::vector<std::shared_ptr<Block>> blocks;
    for (std::uint32_t i = 0; i < count; ++i) {
        blocks.push_back(std::make_shared<Block>(world_.device.current(first + i)));
    }
    return blocks;
}

bool Node::is_readable(BlockNumber first, std::uint32_t count) const {
    for (std::uint32_t i = 0; i < count; ++i) {
        if (world_.device.is_unreadable(first + i)) return false;
    }
    return true;
}

void Node::perform(Action& action) {
    if (auto* read = std::get_if<ReadBlocks>(&action)) {
        const auto event = std::make_shared<BlocksRead>(BlocksRead{read->ticket, {}});
        after_io(
            [this, event, ask = *read] {
                event->blocks = copies(ask.first, ask.count);
                if (is_readable(ask.first, ask.count)) return;
                probe_unreadable.hit();
                event->blocks = base::failure(std::errc::io_error, "simulated");
            },
            [this, event] { happened(std::move(*event)); });
    } else if (auto* write = std::get_if<WriteBlocks>(&action)) {
        // The bytes leave now: what the mount does to its images afterwards must not matter.
        std::vector<BlockHandle> leaving;
        for (const auto& block : write->blocks) leaving.push_back(std::make_shared<Block>(*block));
        const auto request = world_.device.begin_write(index_, write->first, std::move(leaving), write->stable);
        after_io([this, request] { world_.device.end_write(request); },
                 [this, ticket = write->ticket] {
                     happened(BlocksWritten{ticket, {}});
                 });
    } else if (auto* flush = std::get_if<FlushDevice>(&action)) {
        when_written([](InodeNumber) { return true; },
                     [this, ticket = flush->ticket] {
                         after_io([this, finished = world_.device.begin_flush()] { world_.device.end_flush(finished); },
                                  [this, ticket] {
                                      happened(DeviceFlushed{ticket, {}});
                                  });
                     });
    } else if (auto* request = std::get_if<RequestLock>(&action)) {
        world_.locks.request(life_, *request);
    } else if (auto* release = std::get_if<ReleaseLock>(&action)) {
        check_data_is_stable(release->name, "given back by");
        world_.locks.release(life_, *release);
    } else if (auto* dead = std::get_if<ReleaseDead>(&action)) {
        callbacks_.released_dead(dead->node);
        world_.locks.release_dead(dead->node);
    } else if (auto* forget = std::get_if<InvalidateKernel>(&action)) {
        after_io([] {},
                 [this, ask = *forget] {
                     if (callbacks_.forget_in_kernel) callbacks_.forget_in_kernel(ask.inode);
                     happened(KernelInvalidated{ask.ticket});
                 });
    } else if (std::holds_alternative<Started>(action)) {
        finished_.push_back([this] { callbacks_.started(); });
    } else if (auto* read_only = std::get_if<BecomeReadOnly>(&action)) {
        if (!callbacks_.became_read_only) throw Violation("a mount became read-only: " + read_only->reason.message());
        finished_.push_back([this, reason = read_only->reason] { callbacks_.became_read_only(reason); });
    } else if (auto* stopped = std::get_if<Stopped>(&action)) {
        finished_.push_back([this, outcome = stopped->outcome] { callbacks_.stopped(outcome); });
    }
}

// Whoever reads the data next may promise it, by an fsync of its own that has nothing to write.
void Node::check_data_is_stable(const LockName& name, const std::string& moment) const {
    if (name.type != LockType::inode || !world_.device.may_lose_data_of(name.number)) return;
    throw Violation("the lock of inode " + std::to_string(name.number) + " is " + moment + " node " +
                    std::to_string(index_) + " before its data is stable");
}

void Node::arm_timer() {
    const auto deadline = mount_->next_deadline();
    if (!deadline || (armed_ && *armed_ <= *deadline)) return;
    armed_ = deadline;
    world_.scheduler.at(*deadline, [this, alive = alive_] {
        if (!*alive) return;
        when_awake([this] {
            armed_.reset();
            const auto due = mount_->next_deadline();
            if (due && *due <= world_.scheduler.now()) return happened(TimePassed{});
            arm_timer();
        });
    });
}

std::string Node::describe() const {
    base::JsonWriter json;
    mount_->describe(json, world_.scheduler.now());
    return json.text();
}

}  // namespace sim
