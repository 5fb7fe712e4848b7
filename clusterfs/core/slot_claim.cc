#include "clusterfs/core/slot_claim.hh"

#include <string>
#include <utility>

#include "clusterfs/format/block_seal.hh"

namespace clusterfs {
namespace {

constexpr int most_attempts = 20;

std::string hexadecimal(std::uint64_t bits) {
    std::string text;
    for (int shift = 60; shift >= 0; shift -= 4) text.push_back("0123456789abcdef"[bits >> shift & 15]);
    return "0x" + text.substr(std::min(text.find_first_not_of('0'), text.size() - 1));
}

}  // namespace

base::Result<void> judge_superblock(const Block& block, std::uint64_t device_blocks, bool read_only) {
    const auto fault = check(block.bytes, superblock_number);
    const auto& superblock = block.as<Superblock>();
    if (superblock.header.magic != BlockType::superblock) return base::failure(Errc::not_a_filesystem);
    if (fault == BlockFault::unknown_version) {
        return base::failure(Errc::newer_format, "version " + std::to_string(superblock.header.version));
    }
    if (fault != BlockFault::none) {
        return base::failure(Errc::corrupted, std::string("the superblock: ") + text_of(fault));
    }
    if (const auto unknown = superblock.incompat & ~known_incompat; unknown != 0) {
        return base::failure(Errc::newer_format, "unknown incompat features " + hexadecimal(unknown));
    }
    if (const auto unknown = superblock.ro_compat & ~known_ro_compat; unknown != 0 && !read_only) {
        return base::failure(Errc::newer_format, "unknown features " + hexadecimal(unknown) +
                                                     " allow this version to mount read-only (-o ro)");
    }
    if (const auto* wrong = fault_in(superblock, device_blocks); wrong != nullptr) {
        return base::failure(Errc::corrupted, std::string("the superblock: ") + wrong);
    }
    if ((superblock.state & state_change_in_progress) != 0) {
        return base::failure(Errc::corrupted, "a tool was interrupted while it changed this filesystem");
    }
    return {};
}

std::shared_ptr<Block> usable_slot_map(const Block& read, const Superblock& superblock) {
    const auto fault = check(read.bytes, slot_map_number, superblock.uuid());
    const bool usable = (fault == BlockFault::none || fault == BlockFault::bad_checksum) &&
                        fault_in(read.as<SlotMap>(), superblock.slot_count) == nullptr;
    if (usable) return std::make_shared<Block>(read);
    auto fresh = std::make_shared<Block>();
    auto& map = fresh->as<SlotMap>();
    map.header.magic = BlockType::slot_map;
    map.header.version = 1;
    map.header.filesystem = superblock.header.filesystem;
    map.header.number = slot_map_number;
    map.slot_count = superblock.slot_count;
    return fresh;
}

void write_slot_map(MountIo& io, const std::shared_ptr<Block>& map, MountIo::Done done) {
    auto copy = std::make_shared<Block>(*map);
    seal(copy->bytes, io.next_sequence());
    io.write(slot_map_number, {std::move(copy)}, true, std::move(done));
}

void SlotClaim::run(MountIo& io, const Superblock& superblock, const MountOptions& options, Done done) {
    const std::shared_ptr<SlotClaim> claim(new SlotClaim(io, superblock, options, std::move(done)));
    io.request_lock(slot_map_lock, LockMode::exclusive, false, [claim](bool granted) {
        if (granted) return claim->read_map();
        claim->done_(base::failure(std::errc::io_error, "the lock of the slot map was refused"));
    });
}

void SlotClaim::read_map() {
    io_.read(slot_map_number, 1, [self = shared_from_this()](base::Result<MountIo::Blocks> read) {
        if (!read) return self->finish(std::unexpected(read.error()));
        self->io_.saw_sequence(self->superblock_.header.sequence);
        self->map_ = usable_slot_map(*read->front(), self->superblock_);
        self->io_.saw_sequence(self->map().header.sequence);
        self->claimed_.alone = true;
        self->try_slot(0);
    });
}

// Every slot whose lock can be had belongs to nobody alive.
void SlotClaim::try_slot(std::uint32_t slot) {
    if (slot == superblock_.slot_count) return choose();
    io_.request_lock(slot_lock(slot), LockMode::exclusive, true, [self = shared_from_this(), slot](bool granted) {
        if (granted) return self->replay(slot);
        self->claimed_.alone = false;
        self->try_slot(slot + 1);
    });
}

void SlotClaim::replay(std::uint32_t slot) {
    owned_.emplace(slot, JournalState{});
    const auto nothing_is_ours = [](BlockNumber) { return false; };
    Replay::run(io_, journal_region(superblock_, slot), superblock_.block_count, nothing_is_ours,
                [self = shared_from_this(), slot](base::Result<ReplaySummary> summary) {
                    if (!summary) return self->finish(std::unexpected(summary.error()));
                    self->owned_.at(slot) = summary->state;
                    if (summary->was_dirty) self->claimed_.replayed.push_back(slot);
                    auto& entry = self->map().slots[slot];
                    entry.state = SlotState::free;
                    self->try_slot(slot + 1);
                });
}

// The slot that this node had last time, so that its allocation groups stay together; else one that nobody had.
void SlotClaim::choose() {
    if (options_.read_only) claimed_.alone = false;
    if (options_.read_only) return write_map();
    if (owned_.empty()) {
        // The lock of a slot that was given up just now may still be on its way back.
        if (++attempts_ < most_attempts) return try_slot(0);
        return finish(base::failure(Errc::no_free_slot, std::to_string(superblock_.slot_count) + " slots"));
    }
    for (const auto& [slot, state] : owned_) {
        if (map().slots[slot].node == options_.self.node.value) return take(slot);
    }
    for (const auto& [slot, state] : owned_) {
        if (map().slots[slot].node == 0) return take(slot);
    }
    take(owned_.begin()->first);
}

void SlotClaim::take(std::uint32_t slot) {
    claimed_.slot = slot;
    claimed_.region = journal_region(superblock_, slot);
    claimed_.journal = owned_.at(slot);
    owned_.erase(slot);
    claimed_.journal.dirty = true;
    ++claimed_.journal.epoch;
    claimed_.journal.tail.offset = 0;
    claimed_.journal.sequence = io_.clock();
    auto& entry = map().slots[slot];
    entry.state = SlotState::mounted;
    entry.node = options_.self.node.value;
    entry.incarnation = options_.self.incarnation.bytes;
    entry.mounted_at = io_.wall().nanoseconds;
    ++entry.mounts;
    io_.write(claimed_.region.first, {build_journal_header(claimed_.region, claimed_.journal)}, true,
              [self = shared_from_this()](base::Result<void> written) {
                  if (!written) return self->finish(std::unexpected(written.error()));
                  self->write_map();
              });
}

void SlotClaim::write_map() {
    if (options_.read_only && claimed_.replayed.empty()) return finish(std::move(claimed_));
    write_slot_map(io_, map_, [self = shared_from_this()](base::Result<void> written) {
        if (!written) return self->finish(std::unexpected(written.error()));
        self->finish(std::move(self->claimed_));
    });
}

void SlotClaim::finish(base::Result<ClaimedSlot> outcome) {
    for (const auto& [slot, state] : owned_) io_.release_lock(slot_lock(slot));
    const bool keeps_map_lock = outcome && outcome->alone;
    if (!keeps_map_lock) io_.release_lock(slot_map_lock);
    done_(std::move(outcome));
}

}  // namespace clusterfs
