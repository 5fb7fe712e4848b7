#include "tests/unit/clusterfs_core/rig.hh"

#include <utility>

#include "base/ensure.hh"

namespace clusterfs::test {

base::Result<void> MemoryDevice::read(BlockNumber first, std::span<Block> into) {
    if (first + into.size() > blocks_.size()) return base::failure(std::errc::io_error);
    for (std::size_t i = 0; i < into.size(); ++i) into[i] = blocks_[first + i];
    return {};
}

base::Result<void> MemoryDevice::write(BlockNumber first, std::span<const Block> from) {
    if (first + from.size() > blocks_.size()) return base::failure(std::errc::io_error);
    for (std::size_t i = 0; i < from.size(); ++i) blocks_[first + i] = from[i];
    return {};
}

std::unique_ptr<MemoryDevice> formatted_device(std::uint64_t blocks, std::uint32_t journal_blocks) {
    auto device = std::make_unique<MemoryDevice>(blocks);
    FormatOptions options;
    options.uuid.bytes[0] = std::byte{7};
    options.slots = 2;
    options.journal_blocks = journal_blocks;
    const auto made = format_filesystem(*device, options);
    base::ensure(made.has_value(), made ? "" : made.error().message());
    return device;
}

Rig::Rig(MemoryDevice& device, MountOptions options)
    : device_(device),
      mount_(
          [&] {
              if (options.self.node.value == 0) options.self.node.value = 1;
              return options;
          }(),
          device.block_count()) {}

void Rig::start() {
    Actions actions;
    mount_.start(now_, {}, actions);
    settle(std::move(actions));
}

void Rig::begin(const Mount::Operation& operation, std::optional<base::Result<void>>& outcome) {
    Actions actions;
    mount_.run(
        operation, [&outcome](base::Result<void> result) { outcome = std::move(result); }, now_, {}, actions);
    settle(std::move(actions));
}

base::Result<void> Rig::run(const Mount::Operation& operation) {
    std::optional<base::Result<void>> outcome;
    begin(operation, outcome);
    base::ensure(outcome.has_value(), "the operation did not end");
    return *outcome;
}

void Rig::begin_commit(std::optional<base::Result<void>>& outcome) {
    Actions actions;
    mount_.commit([&outcome](base::Result<void> result) { outcome = std::move(result); }, now_, {}, actions);
    settle(std::move(actions));
}

base::Result<void> Rig::commit() {
    std::optional<base::Result<void>> outcome;
    begin_commit(outcome);
    base::ensure(outcome.has_value(), "the commit did not end");
    return *outcome;
}

void Rig::unpin(const LockName& name) {
    Actions actions;
    mount_.unpin(name, now_, {}, actions);
    settle(std::move(actions));
}

void Rig::stop() {
    Actions actions;
    mount_.stop(now_, {}, actions);
    settle(std::move(actions));
}

void Rig::tell(Event event) {
    Actions actions;
    mount_.step(std::move(event), now_, {}, actions);
    settle(std::move(actions));
}

void Rig::pass(base::Duration time) {
    now_ = now_ + time;
    tell(TimePassed{});
}

void Rig::end_flushes() {
    hold_flushes = false;
    for (const auto ticket : std::exchange(flushes_, {})) tell(DeviceFlushed{ticket, {}});
}

void Rig::end_reads() {
    hold_reads = false;
    for (const auto& read : std::exchange(reads_, {})) settle({read});
}

void Rig::settle(Actions actions) {
    for (;;) {
        mount_.check_invariants();
        for (const auto& action : actions) {
            log.push_back(action);
            perform(action);
        }
        if (events_.empty()) return;
        actions.clear();
        auto event = std::move(events_.front());
        events_.pop_front();
        mount_.step(std::move(event), now_, {}, actions);
    }
}

void Rig::perform(const Action& action) {
    if (const auto* read = std::get_if<ReadBlocks>(&action)) {
        if (hold_reads) return reads_.push_back(*read);
        std::vector<std::shared_ptr<Block>> blocks;
        for (std::uint32_t i = 0; i < read->count; ++i) {
            blocks.push_back(std::make_shared<Block>(device_.at(read->first + i)));
        }
        for (auto& [number, times] : torn_reads) {
            const bool read_now = number >= read->first && number - read->first < read->count;
            if (read_now && times-- > 0) blocks[number - read->first]->bytes.back() ^= std::byte{1};
        }
        events_.push_back(BlocksRead{read->ticket, std::move(blocks)});
    } else if (const auto* write = std::get_if<WriteBlocks>(&action)) {
        if (write_error) {
            events_.push_back(BlocksWritten{write->ticket, std::unexpected(*write_error)});
            return;
        }
        for (std::size_t i = 0; i < write->blocks.size(); ++i) device_.at(write->first + i) = *write->blocks[i];
        events_.push_back(BlocksWritten{write->ticket, {}});
    } else if (const auto* flush = std::get_if<FlushDevice>(&action)) {
        if (hold_flushes) return flushes_.push_back(flush->ticket);
        events_.push_back(DeviceFlushed{flush->ticket, {}});
    } else if (const auto* request = std::get_if<RequestLock>(&action)) {
        if (request->no_queue && refused.contains(request->name)) {
            events_.push_back(LockRefused{request->name});
        } else if (!withheld.contains(request->name)) {
            events_.push_back(LockGranted{request->name, request->mode});
        }
    } else if (const auto* forget = std::get_if<InvalidateKernel>(&action)) {
        if (answer_invalidations) events_.push_back(KernelInvalidated{forget->ticket});
    } else if (std::holds_alternative<Started>(action)) {
        started = true;
    } else if (const auto* end = std::get_if<Stopped>(&action)) {
        stopped = end->outcome;
    }
}

}  // namespace clusterfs::test
