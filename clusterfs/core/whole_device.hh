// A view source for those who have the device to themselves: mkfs, fsck, debugfs and tests. Every lock is held,
// a transaction is applied directly, and flush() writes what changed to its places.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>

#include "base/error.hh"
#include "base/time.hh"
#include "clusterfs/core/view.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs {

// A device that answers at once, in blocks.
class SynchronousDevice {
  public:
    virtual ~SynchronousDevice() = default;
    virtual std::uint64_t block_count() const = 0;
    virtual base::Result<void> read(BlockNumber first, std::span<Block> into) = 0;
    virtual base::Result<void> write(BlockNumber first, std::span<const Block> from) = 0;
    virtual base::Result<void> flush() = 0;
};

// Reads a block and checks type, checksum and place (Errc::corrupted with what is wrong).
[[nodiscard]] base::Result<std::shared_ptr<Block>> read_checked(SynchronousDevice& device, BlockNumber number,
                                                                const base::Uuid& filesystem);
// The superblock, or Errc::not_a_filesystem, newer_format or corrupted.
[[nodiscard]] base::Result<Superblock> read_superblock(SynchronousDevice& device, BlockNumber number);

class WholeDevice : public ViewSource {
  public:
    using Operation = std::function<base::Result<void>(View&)>;

    // `superblock` was checked by the caller (read_superblock) or is being made (mkfs).
    WholeDevice(SynchronousDevice& device, const Superblock& superblock, std::uint32_t slot = 0)
        : device_(device), superblock_(superblock), slot_(slot) {}

    // Reads what the operation needs and runs it until it is done; its changes are kept in memory until flush().
    [[nodiscard]] base::Result<void> run(const Operation& operation, base::WallTime now);
    // Writes every change to its place, with a sequence above all that was read, and flushes the device.
    [[nodiscard]] base::Result<void> flush();
    // Forgets what was read and is unchanged, where that is more than `limit` blocks.
    void trim(std::size_t limit);
    // Takes a block as changed, whatever it was before (fsck).
    void put(std::shared_ptr<Block> block);
    // Forgets one block, changed or not: its place was written in another way.
    void forget(BlockNumber number);

    SynchronousDevice& device() { return device_; }
    std::uint64_t highest_sequence() const { return highest_sequence_; }
    void saw_sequence(std::uint64_t sequence) { highest_sequence_ = std::max(highest_sequence_, sequence); }
    std::size_t dirty_blocks() const { return dirty_.size(); }
    // For tests of operations that must respect it; mkfs and fsck never free what they use again.
    void set_slot(std::uint32_t slot) { slot_ = slot; }

    const Superblock& superblock() const override { return superblock_; }
    // The caller writes it (write_superblocks in format_filesystem.hh).
    Superblock& superblock() { return superblock_; }
    BlockHandle cached_block(BlockNumber number) const override;
    LockMode held(const LockName&) const override { return LockMode::exclusive; }
    std::uint32_t slot() const override { return slot_; }
    bool freed_recently(BlockNumber) const override { return false; }
    bool journal_has_space() const override { return true; }

  private:
    base::Result<void> fetch(const Needs& needs);

    SynchronousDevice& device_;
    Superblock superblock_;
    std::uint32_t slot_;
    std::uint64_t highest_sequence_ = 0;
    std::map<BlockNumber, BlockHandle> clean_;
    std::map<BlockNumber, std::shared_ptr<Block>> dirty_;
};

}  // namespace clusterfs
