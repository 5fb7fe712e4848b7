#include "clusterfs/core/mount_state.hh"

#include <type_traits>
#include <utility>

#include "base/ensure.hh"
#include "clusterfs/core/allocator.hh"
#include "clusterfs/format/inode.hh"

namespace clusterfs {

Mount::State::State(MountOptions given, std::uint64_t device_blocks, const ViewSource& source)
    : options(std::move(given)),
      io(device_blocks),
      cache(options.cache_blocks, [this](BlockNumber number) { return group_lock_of(sb(), number); }),
      locks(*this, options.minimum_hold),
      journal(io, cache, options.commit_interval,
              {[this] { progressed = true; }, [this](const base::Error& error) { journal_failed(error); },
               [this] { hints.committed(); }}),
      operations(io, cache, locks, journal, source),
      orphans(io, operations),
      reclaim(operations),
      read_only(options.read_only) {}

bool Mount::State::make_clean(const LockName& name) {
    const auto dirt = cache.dirt_under(name);
    if (!dirt.any() && !journal.data_is_dirty(name)) return true;
    // It never will be: the lock is wanted elsewhere, and only a replay of our journal can let it go.
    withdrawing |= journal.failed();
    if (dirt.uncommitted || journal.data_waits(name)) journal.commit_soon();
    if (!dirt.uncommitted && !dirt.committing) journal.write_in_place(name);
    return false;
}

void Mount::State::forget(const LockName& name) {
    cache.drop(name);
    if (name.type != LockType::allocation_group) return;
    const auto geometry = sb().geometry();
    hints.gave_up(name.number, geometry.map_block(name.number, 0), geometry.maps_in_group(name.number));
}

void Mount::State::check_hints() const {
    for (const auto& [group, known] : hints.spaces()) {
        base::ensure(locks.granted_mode({LockType::allocation_group, group}) != LockMode::none,
                     "what is known of a group's space is true only under its lock");
        const auto geometry = sb().geometry();
        GroupSpace space;
        bool complete = true;
        for (std::uint32_t index = 0; index < geometry.maps_in_group(group); ++index) {
            const auto map = cache.peek(geometry.map_block(group, index));
            if (map) space.add(map->as<AllocationMap>(), sb().reserve_per_map);
            complete &= map != nullptr;
        }
        base::ensure(!complete || space == known, "the known space of a group is that of its maps");
    }
}

bool Mount::State::has_no_links(InodeNumber inode) {
    if (locks.usable(inode_lock(inode)) == LockMode::none) return false;
    const auto block = cache.peek(inode);
    return block && block->as<BlockHeader>().magic == BlockType::inode && block->as<Inode>().links == 0;
}

bool Mount::State::may_be_directory(InodeNumber inode) {
    const auto block = cache.find(inode);
    if (!block || block->as<BlockHeader>().magic != BlockType::inode) return true;
    return is_directory(block->as<Inode>());
}

// ---- start ---------------------------------------------------------------------------------------------------------

void Mount::State::read_superblock() {
    io.read(superblock_number, 1, [this](base::Result<MountIo::Blocks> read) { superblock_read(std::move(read)); });
}

void Mount::State::superblock_read(base::Result<MountIo::Blocks> read) {
    if (!read) return cannot_start(read.error());
    if (auto judged = judge_superblock(*read->front(), io.device_blocks(), options.read_only); !judged) {
        return cannot_start(judged.error());
    }
    superblock = read->front();
    io.saw_sequence(superblock->as<BlockHeader>().sequence);
    SlotClaim::run(io, sb(), options, [this](base::Result<ClaimedSlot> claim) { claimed(std::move(claim)); });
}

void Mount::State::claimed(base::Result<ClaimedSlot> claim) {
    if (phase != Phase::starting) return;
    if (!claim) return cannot_start(claim.error());
    replayed_at_start = claim->replayed.size();
    SlotRecovery::Callbacks callbacks;
    callbacks.ours = [this](BlockNumber number) { return cache.contains(number); };
    callbacks.recovered = [this](std::uint32_t recovered) { orphans.clean(recovered); };
    callbacks.failed = [this](const base::Error& error) { failure = error; };
    const auto own_slot = options.read_only ? std::nullopt : std::optional(claim->slot);
    recovery.emplace(io, sb(), own_slot, std::move(callbacks));
    if (!options.read_only) {
        slot = claim->slot;
        journal.open(claim->region, claim->journal);
    }
    if (!claim->alone) return ready(claim->replayed);
    // Nobody else can have taken a slot since: whoever is or will be reported dead now, its journal was replayed.
    reclaiming = true;
    for (const auto& node : std::exchange(died_early, {})) io.actions().push_back(ReleaseDead{node});
    reclaim.run(sb().geometry().group_count(), [this, replayed = claim->replayed] {
        reclaiming = false;
        io.release_lock(slot_map_lock);
        ready(replayed);
    });
}

void Mount::State::ready(const std::vector<std::uint32_t>& replayed) {
    if (phase != Phase::starting) return;
    phase = Phase::running;
    io.actions().push_back(Started{});
    if (!options.read_only) orphans.open(slot);
    for (const auto other : replayed) {
        if (!options.read_only && other != slot) orphans.clean(other);
    }
    for (const auto& node : std::exchange(died_early, {})) recovery->node_died(node);
}

void Mount::State::cannot_start(const base::Error& error) { end(std::unexpected(error)); }

// ---- events --------------------------------------------------------------------------------------------------------

void Mount::State::dispatch(Event& event) {
    std::visit(
        [this](auto& happened) {
            using T = std::decay_t<decltype(happened)>;
            if constexpr (std::is_same_v<T, BlocksRead>) {
                io.on_read(happened);
            } else if constexpr (std::is_same_v<T, BlocksWritten>) {
                io.on_written(happened);
            } else if constexpr (std::is_same_v<T, DeviceFlushed>) {
                io.on_flushed(happened);
            } else if constexpr (std::is_same_v<T, LockGranted>) {
                lock_granted(happened);
            } else if constexpr (std::is_same_v<T, LockRefused>) {
                lock_refused(happened);
            } else if constexpr (std::is_same_v<T, LockWanted>) {
                locks.on_wanted(happened.name, happened.mode, io.now(), io.actions());
            } else if constexpr (std::is_same_v<T, KernelInvalidated>) {
                locks.on_kernel_invalidated(happened.ticket, io.now(), io.actions());
            } else if constexpr (std::is_same_v<T, NodeDied>) {
                node_died(happened);
            } else {
                static_assert(std::is_same_v<T, TimePassed>);
                locks.on_time_passed(io.now(), io.actions());
                orphans.on_time_passed();
            }
        },
        event);
}

void Mount::State::lock_granted(const LockGranted& event) {
    const bool ours = event.name.type == LockType::slot || event.name.type == LockType::slot_map;
    if (ours) {
        io.on_lock(event.name, true);
        return;
    }
    locks.on_granted(event.name, event.mode, io.now(), io.actions());
    operations.on_lock_granted(event.name, event.mode);
    if (!journal.failed()) locks.shed(options.cached_locks, io.now(), io.actions());
}

void Mount::State::lock_refused(const LockRefused& event) {
    if (io.on_lock(event.name, false)) return;
    if (locks.on_refused(event.name, io.now(), io.actions())) operations.on_lock_refused(event.name);
}

void Mount::State::node_died(const NodeDied& event) {
    // Operations and requests for locks that have to end before we leave may wait for what it held.
    const bool still_waiting = phase == Phase::stopping && stop_step <= StopStep::locks;
    if (phase == Phase::running || still_waiting) return recovery->node_died(event.node);
    if (reclaiming) return io.actions().push_back(ReleaseDead{event.node});
    if (phase == Phase::starting) died_early.push_back(event.node);
    // At the end of an unmount: the other survivors replay, or the next mount does.
}

void Mount::State::journal_failed(const base::Error& error) {
    if (!failure) failure = error;
    read_only = true;
    progressed = true;  // locks that are being given back look at it
    io.actions().push_back(BecomeReadOnly{error});
    operations.on_space();
}

void Mount::State::settle() {
    do {
        if (std::exchange(progressed, false)) {
            const auto cleaning = locks.cleaning();
            for (const auto& name : cleaning) locks.advance(name, io.now(), io.actions());
            const auto early = locks.cleaned_early();
            for (const auto& name : early) locks.advance(name, io.now(), io.actions());
        }
        operations.run_ready();
        if (journal.has_space()) operations.on_space();
        journal.progress();
        if (phase == Phase::stopping) progress_stop();
        if (withdrawing && phase != Phase::stopped) end(std::unexpected(*failure));
    } while (phase != Phase::stopped && (progressed || operations.has_ready()));
}

// ---- stop ----------------------------------------------------------------------------------------------------------

void Mount::State::progress_stop() {
    // Who reads or writes file data is not through with his operations.
    if (stop_step == StopStep::operations && operations.idle() && !locks.uses_content() && !recovery->busy()) {
        stop_step = StopStep::journal;
        if (!journal.is_open()) return journal_closed({});
        journal.close([this](base::Result<void> outcome) { journal_closed(outcome); });
        progressed = true;
    }
    if (stop_step == StopStep::locks && locks.give_all_back(io.now(), io.actions()) && !recovery->busy()) {
        stop_step = StopStep::slot;
        if (options.read_only) return slot_left();
        recovery->leave(slot, [this](base::Result<void>) { slot_left(); });
    }
}

// What could not be written stays in the journal, if it got there: then our locks must not be given back by us, but be
// released by whoever replays it.
void Mount::State::journal_closed(const base::Result<void>& outcome) {
    if (!outcome) return end(outcome);
    stop_step = StopStep::locks;
    progressed = true;
}

void Mount::State::slot_left() {
    if (!options.read_only) io.release_lock(slot_lock(slot));
    end({});
}

void Mount::State::end(base::Result<void> outcome) {
    phase = Phase::stopped;
    stop_step = StopStep::done;
    if (!outcome) operations.fail_all(outcome.error());
    io.actions().push_back(Stopped{std::move(outcome)});
}

}  // namespace clusterfs
