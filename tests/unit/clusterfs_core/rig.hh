// One mount whose wishes are fulfilled at once: device in memory, every lock granted unless the test says otherwise.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "clusterfs/core/format_filesystem.hh"
#include "clusterfs/core/mount.hh"
#include "clusterfs/core/whole_device.hh"

namespace clusterfs::test {

class MemoryDevice : public SynchronousDevice {
  public:
    explicit MemoryDevice(std::uint64_t blocks) : blocks_(blocks) {}
    std::uint64_t block_count() const override { return blocks_.size(); }
    base::Result<void> read(BlockNumber first, std::span<Block> into) override;
    base::Result<void> write(BlockNumber first, std::span<const Block> from) override;
    base::Result<void> flush() override { return {}; }
    Block& at(BlockNumber number) { return blocks_.at(number); }

  private:
    std::vector<Block> blocks_;
};

// A freshly made filesystem with two slots.
std::unique_ptr<MemoryDevice> formatted_device(std::uint64_t blocks = 8192, std::uint32_t journal_blocks = 1024);

class Rig {
  public:
    explicit Rig(MemoryDevice& device, MountOptions options = {});

    void start();
    base::Result<void> run(const Mount::Operation& operation);
    // Calls that do not wait for the outcome.
    void begin(const Mount::Operation& operation, std::optional<base::Result<void>>& outcome);
    void begin_commit(std::optional<base::Result<void>>& outcome);
    base::Result<void> commit();
    void unpin(const LockName& name);
    bool reader_follows(InodeNumber inode) const { return mount_.reader_follows(inode, now_); }
    void stop();
    void tell(Event event);
    void pass(base::Duration time);
    void end_flushes();
    void end_reads();
    Mount& mount() { return mount_; }

    bool started = false;
    std::optional<base::Result<void>> stopped;
    std::vector<Action> log;      // every action, in order
    std::set<LockName> refused;   // no_queue requests for these are refused
    std::set<LockName> withheld;  // requests for these are not answered
    bool answer_invalidations = true;
    std::optional<base::Error> write_error;
    std::map<BlockNumber, int> torn_reads;  // how often a read of the block finds it half written
    bool hold_flushes = false;              // until end_flushes()
    bool hold_reads = false;                // until end_reads()
    template <typename T>
    std::vector<T> actions() const {
        std::vector<T> found;
        for (const auto& action : log) {
            if (const auto* one = std::get_if<T>(&action)) found.push_back(*one);
        }
        return found;
    }

  private:
    void settle(Actions actions);
    void perform(const Action& action);

    MemoryDevice& device_;
    Mount mount_;
    base::Instant now_;
    std::deque<Event> events_;
    std::vector<Ticket> flushes_;    // held
    std::vector<ReadBlocks> reads_;  // held
};

}  // namespace clusterfs::test
