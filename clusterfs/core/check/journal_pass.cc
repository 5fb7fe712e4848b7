// Slot map and journals. Replay is the mount's own (core/replay), its actions are carried out here.
#include <algorithm>

#include "clusterfs/core/check/context.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/core/journal_record.hh"
#include "clusterfs/core/replay.hh"
#include "clusterfs/format/slot_map.hh"

namespace clusterfs::checking {
namespace {

std::string slot_text(std::uint32_t slot) { return "slot " + std::to_string(slot); }

class ActionRunner {
  public:
    ActionRunner(SynchronousDevice& device, MountIo& io) : device_(device), io_(io) {}

    void run(Actions& actions) {
        while (!actions.empty()) {
            auto batch = std::exchange(actions, {});
            for (auto& action : batch) {
                io_.enter({}, {}, actions);
                perform(action);
            }
        }
    }

  private:
    void perform(const Action& action) {
        if (const auto* read = std::get_if<ReadBlocks>(&action)) {
            BlocksRead event{read->ticket, this->read(*read)};
            (void)io_.on_read(event);
        } else if (const auto* write = std::get_if<WriteBlocks>(&action)) {
            std::vector<Block> images;
            for (const auto& block : write->blocks) images.push_back(*block);
            BlocksWritten event{write->ticket, device_.write(write->first, images)};
            (void)io_.on_written(event);
        } else if (const auto* flush = std::get_if<FlushDevice>(&action)) {
            DeviceFlushed event{flush->ticket, device_.flush()};
            (void)io_.on_flushed(event);
        }
    }

    base::Result<MountIo::Blocks> read(const ReadBlocks& wanted) {
        MountIo::Blocks blocks;
        for (std::uint32_t i = 0; i < wanted.count; ++i) {
            auto block = std::make_shared<Block>();
            BASE_TRY(device_.read(wanted.first + i, {block.get(), 1}));
            blocks.push_back(std::move(block));
        }
        return blocks;
    }

    SynchronousDevice& device_;
    MountIo& io_;
};

base::Result<ReplaySummary> replay(Context& context, std::uint32_t slot) {
    MountIo io(context.superblock().block_count);
    Actions actions;
    io.enter({}, {}, actions);
    base::Result<ReplaySummary> outcome = base::failure(std::errc::io_error, "a replay did not end");
    const auto region = journal_region(context.superblock(), slot);
    Replay::run(
        io, region, context.superblock().block_count, [](BlockNumber) { return false; },
        [&](base::Result<ReplaySummary> summary) { outcome = std::move(summary); });
    ActionRunner(context.whole().device(), io).run(actions);
    context.whole().saw_sequence(io.clock());
    return outcome;
}

base::Result<void> empty_journal(Context& context, std::uint32_t slot) {
    const auto region = journal_region(context.superblock(), slot);
    JournalState state;
    // Above the epoch of whatever records are still there.
    state.epoch = 1 + static_cast<std::uint64_t>(std::max<std::int64_t>(context.options().now.nanoseconds, 0));
    state.tail.record = 1;
    const auto header = build_journal_header(region, state);
    return context.whole().device().write(region.first, {header.get(), 1});
}

base::Result<void> check_journal(Context& context, std::uint32_t slot) {
    const auto region = journal_region(context.superblock(), slot);
    const auto loaded = context.load(region.first);
    base::Result<JournalState> state = base::failure(Errc::journal_corrupted, "it cannot be read");
    if (loaded.block != nullptr) state = parse_journal_header(region, *loaded.block);
    if (!state) {
        if (!context.found(Problem::journal_header_damaged, slot_text(slot))) {
            context.journal_left();
            return {};
        }
        return empty_journal(context, slot);
    }
    context.whole().saw_sequence(state->sequence);
    if (!state->dirty) return {};
    (void)context.found(Problem::journal_not_replayed, slot_text(slot));
    BASE_ASSIGN(const auto summary, replay(context, slot));
    context.whole().forget(region.first);
    context.whole().saw_sequence(summary.state.sequence);
    return {};
}

void write_empty_slot_map(Context& context) {
    auto block = std::make_shared<Block>();
    auto& map = block->as<SlotMap>();
    map.header = context.header_for(BlockType::slot_map, slot_map_number, 0);
    map.slot_count = context.superblock().slot_count;
    context.put(std::move(block));
}

void check_slot_map(Context& context) {
    const auto loaded = context.load(slot_map_number);
    const bool whole =
        loaded.sound() && fault_in(loaded.block->as<SlotMap>(), context.superblock().slot_count) == nullptr;
    if (!whole) {
        if (context.found(Problem::slot_map_damaged, "block 2")) write_empty_slot_map(context);
        return;
    }
    auto changed = Context::copy(loaded);
    bool is_changed = false;
    for (std::uint32_t slot = 0; slot < max_slots; ++slot) {
        auto& entry = changed->as<SlotMap>().slots[slot];
        if (entry.state == SlotState::free) continue;
        const auto detail = slot_text(slot) + ", node " + std::to_string(entry.node);
        if (!context.found(Problem::slot_left_mounted, detail)) continue;
        entry.state = SlotState::free;
        is_changed = true;
    }
    if (is_changed) context.put(std::move(changed));
}

}  // namespace

// The slots are freed after the replays only: a check that is interrupted leaves them to the next mount.
base::Result<void> check_slots_and_journals(Context& context) {
    context.enter("journals");
    for (std::uint32_t slot = 0; slot < context.superblock().slot_count; ++slot) {
        BASE_TRY(check_journal(context, slot));
    }
    check_slot_map(context);
    return {};
}

}  // namespace clusterfs::checking
