#include "clusterfs/driver/mount_driver.hh"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/io/clock.hh"

namespace clusterfs {

MountDriver::MountDriver(MountOptions options, base::BlockDevice& device, LockService& locks, base::EventLoop& loop)
    : device_(device), locks_(locks), loop_(loop), mount_(std::move(options), device.size() / block_size) {}

MountDriver::~MountDriver() = default;

template <typename Call>
void MountDriver::with_mount(Call call) {
    Batch batch;
    {
        const std::lock_guard lock(mutex_);
        const auto now = base::monotonic_now();
        const auto wall = base::wall_now();
        Actions actions;
        call(mount_, now, wall, actions);
        // A lock that was granted at once lets the operation go on at once.
        while (!actions.empty()) {
            auto answers = sort_out(std::exchange(actions, {}), batch);
            for (auto& answer : answers) mount_.step(std::move(answer), now, wall, actions);
        }
        batch.finished.swap(finished_);
        arm_timer(now);
    }
    perform(std::move(batch));
}

void MountDriver::start(Callbacks callbacks) {
    callbacks_ = std::move(callbacks);
    LockService::Callbacks lock_events;
    lock_events.granted = [this](LockName name, LockMode mode) { happened(LockGranted{name, mode}); };
    lock_events.refused = [this](LockName name) { happened(LockRefused{name}); };
    lock_events.wanted = [this](LockName name, LockMode mode) { happened(LockWanted{name, mode}); };
    lock_events.node_died = [this](base::NodeIncarnation node) {
        if (callbacks_.node_died) callbacks_.node_died(node);
        happened(NodeDied{node});
    };
    lock_events.lost = [this](const base::Error& error) {
        if (callbacks_.locks_lost) callbacks_.locks_lost(error);
    };
    locks_.start(std::move(lock_events));
    with_mount([](Mount& mount, auto now, auto wall, Actions& actions) { mount.start(now, wall, actions); });
}

// The mount calls completions under the mutex; they are kept until it is free.
Mount::Completion MountDriver::deferred(Mount::Completion done) {
    return [this, done = std::move(done)](base::Result<void> outcome) {
        finished_.push_back([done, outcome = std::move(outcome)]() mutable { done(std::move(outcome)); });
    };
}

void MountDriver::run(Mount::Operation operation, Mount::Completion done) {
    with_mount([&](Mount& mount, auto now, auto wall, Actions& actions) {
        mount.run(std::move(operation), deferred(std::move(done)), now, wall, actions);
    });
}

void MountDriver::commit(Mount::Completion done) {
    with_mount([&](Mount& mount, auto now, auto wall, Actions& actions) {
        mount.commit(deferred(std::move(done)), now, wall, actions);
    });
}

void MountDriver::unpin(const LockName& name) {
    with_mount([&](Mount& mount, auto now, auto wall, Actions& actions) { mount.unpin(name, now, wall, actions); });
}

bool MountDriver::close(InodeNumber inode) {
    bool may_be_nameless = false;
    with_mount([&](Mount& mount, auto now, auto wall, Actions& actions) {
        may_be_nameless = mount.close(inode, now, wall, actions);
    });
    return may_be_nameless;
}

void MountDriver::note_data_written(FileData what, InodeNumber inode) {
    const std::lock_guard lock(mutex_);
    mount_.note_data_written(what, inode);
}

bool MountDriver::reader_follows(InodeNumber inode) {
    const std::lock_guard lock(mutex_);
    return mount_.reader_follows(inode, base::monotonic_now());
}

void MountDriver::stop() {
    with_mount([](Mount& mount, auto now, auto wall, Actions& actions) { mount.stop(now, wall, actions); });
}

void MountDriver::describe(base::JsonWriter& json) {
    const std::lock_guard lock(mutex_);
    mount_.describe(json, base::monotonic_now());
}

void MountDriver::happened(Event event) {
    with_mount(
        [&](Mount& mount, auto now, auto wall, Actions& actions) { mount.step(std::move(event), now, wall, actions); });
}

void MountDriver::ask_for_lock(const RequestLock& request, std::vector<Event>& answers) {
    switch (locks_.try_request(request.name, request.mode, request.no_queue, request.recovery)) {
        case LockService::Answer::granted:
            answers.emplace_back(LockGranted{request.name, request.mode});
            break;
        case LockService::Answer::refused:
            answers.emplace_back(LockRefused{request.name});
            break;
        case LockService::Answer::later:
            break;
    }
}

// Lock actions take effect in their order, so they are queued while the mutex is held; the rest is done without it.
std::vector<Event> MountDriver::sort_out(Actions actions, Batch& batch) {
    std::vector<Event> answers;
    for (auto& action : actions) {
        if (const auto* request = std::get_if<RequestLock>(&action)) {
            ask_for_lock(*request, answers);
        } else if (const auto* release = std::get_if<ReleaseLock>(&action)) {
            locks_.release(release->name, release->keep);
        } else if (const auto* dead = std::get_if<ReleaseDead>(&action)) {
            locks_.release_dead(dead->node);
        } else {
            batch.device_work.push_back(std::move(action));
        }
    }
    return answers;
}

void MountDriver::perform(Batch batch) {
    for (auto& action : batch.device_work) {
        if (const auto* read = std::get_if<ReadBlocks>(&action)) {
            read_blocks(*read);
        } else if (const auto* write = std::get_if<WriteBlocks>(&action)) {
            write_blocks(*write);
        } else if (const auto* flush = std::get_if<FlushDevice>(&action)) {
            this->flush(*flush);
        } else if (const auto* forget = std::get_if<InvalidateKernel>(&action)) {
            invalidate(*forget);
        } else if (std::holds_alternative<Started>(action)) {
            callbacks_.started();
        } else if (const auto* refused = std::get_if<BecomeReadOnly>(&action)) {
            if (callbacks_.became_read_only) callbacks_.became_read_only(refused->reason);
        } else if (auto* stopped = std::get_if<Stopped>(&action)) {
            callbacks_.stopped(std::move(stopped->outcome));
        }
    }
    for (auto& finish : batch.finished) finish();
}

void MountDriver::read_blocks(const ReadBlocks& action) {
    const std::size_t length = action.count * block_size;
    auto buffer = std::make_shared<IoBuffer>(buffers_.take(length));
    device_.read(action.first * block_size, buffer->span(0, length),
                 [this, buffer, ticket = action.ticket, count = action.count](base::Result<void> outcome) {
                     if (!outcome) return happened(BlocksRead{ticket, std::unexpected(outcome.error())});
                     std::vector<std::shared_ptr<Block>> blocks;
                     for (std::size_t i = 0; i < count; ++i) {
                         blocks.push_back(std::make_shared<Block>());
                         std::memcpy(blocks.back()->bytes.data(), buffer->data() + i * block_size, block_size);
                     }
                     happened(BlocksRead{ticket, std::move(blocks)});
                 });
}

void MountDriver::write_blocks(const WriteBlocks& action) {
    const std::size_t length = action.blocks.size() * block_size;
    auto buffer = std::make_shared<IoBuffer>(buffers_.take(length));
    for (std::size_t i = 0; i < action.blocks.size(); ++i) {
        std::memcpy(buffer->data() + i * block_size, action.blocks[i]->bytes.data(), block_size);
    }
    const auto durability = action.stable ? base::Durability::stable : base::Durability::cached;
    device_.write(action.first * block_size, buffer->span(0, length), durability,
                  [this, buffer, ticket = action.ticket](base::Result<void> outcome) {
                      happened(BlocksWritten{ticket, std::move(outcome)});
                  });
}

// What was appended counts as written to the device, so it is there before the device's cache is emptied.
void MountDriver::flush(const FlushDevice& action) {
    appended_.write_out_all([this, ticket = action.ticket](const base::Result<void>& written) {
        if (!written) return happened(DeviceFlushed{ticket, written});
        device_.flush([this, ticket](base::Result<void> outcome) {
            happened(DeviceFlushed{ticket, std::move(outcome)});
        });
    });
}

void MountDriver::invalidate(const InvalidateKernel& action) {
    invalidator_.enqueue([this, action] {
        const auto done = [this, ticket = action.ticket] { happened(KernelInvalidated{ticket}); };
        if (!callbacks_.forget_in_kernel) return done();
        callbacks_.forget_in_kernel(action.inode, action.is_directory, done);
    });
}

// Under the mutex. Only an earlier deadline than the armed one is worth a trip to the loop.
void MountDriver::arm_timer(base::Instant now) {
    const auto deadline = mount_.next_deadline();
    if (!deadline || (armed_for_ && *armed_for_ <= *deadline)) return;
    armed_for_ = deadline;
    const auto delay = std::max(*deadline - now, base::Duration{0});
    loop_.post([this, delay] { timer_ = loop_.after(delay, [this] { timer_due(); }); });
}

void MountDriver::timer_due() {
    with_mount([this](Mount& mount, base::Instant now, base::WallTime wall, Actions& actions) {
        armed_for_.reset();
        const auto deadline = mount.next_deadline();
        if (deadline && *deadline <= now) mount.step(TimePassed{}, now, wall, actions);
    });
}

}  // namespace clusterfs
