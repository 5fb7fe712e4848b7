// The shared device: what was written is in its cache until a flush; power loss may lose or tear any of that at
// 512-byte sectors, in any order.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "clusterfs/core/mount.hh"
#include "clusterfs/core/whole_device.hh"
#include "tests/sim/common/random.hh"

namespace sim {

// Is told of every request in the order in which it reaches the device.
class DeviceObserver {
  public:
    virtual ~DeviceObserver() = default;
    virtual void write_begun(std::uint64_t request, clusterfs::BlockNumber first,
                             const std::vector<clusterfs::BlockHandle>& blocks, bool stable) = 0;
    virtual void write_ended(std::uint64_t request) = 0;
    // What had ended when it began is stable: the first `finished` of them.
    virtual void flush_ended(std::uint64_t finished) = 0;
};

class Device : public clusterfs::SynchronousDevice {
  public:
    explicit Device(std::uint64_t blocks) : blocks_(blocks), content_(blocks) {}
    // Shows `below` where it was not written; `below` must live longer and not change.
    explicit Device(const Device* below) : blocks_(below->blocks_), content_(below->blocks_), below_(below) {}
    // None: nullptr. It must live as long as requests are made.
    void observe(DeviceObserver* observer) { observer_ = observer; }

    // ---- at once, and stable: for mkfs and checks ----
    std::uint64_t block_count() const override { return blocks_; }
    base::Result<void> read(clusterfs::BlockNumber first, std::span<clusterfs::Block> into) override;
    base::Result<void> write(clusterfs::BlockNumber first, std::span<const clusterfs::Block> from) override;
    base::Result<void> flush() override { return {}; }

    // ---- requests that take time: a node has begun them, and they end later or never. Whoever gives blocks does not
    // change them afterwards ----
    using Request = std::uint64_t;
    // `data_of`: whose file data it is; 0: metadata.
    Request begin_write(int node, clusterfs::BlockNumber first, std::vector<clusterfs::BlockHandle> blocks, bool stable,
                        clusterfs::InodeNumber data_of = 0);
    void end_write(Request request);
    // It fails: any part of it is there.
    void fail_write(Request request, Random& random);
    // What is finished now will be stable when the flush ends.
    std::uint64_t begin_flush() const { return finished_; }
    void end_flush(std::uint64_t finished);
    // Valid until something is written.
    const clusterfs::Block& current(clusterfs::BlockNumber number) const;
    // Some of its data is under way, or no flush has covered it: power loss may take it back.
    bool may_lose_data_of(clusterfs::InodeNumber inode) const;
    // Holds from now on what the other one holds, which nothing has been asked of.
    void become_copy_of(const Device& other) { content_ = other.content_; }
    bool has_same(const Device& other, clusterfs::BlockNumber number) const {
        return content_.at(number) == other.content_.at(number) || current(number).bytes == other.current(number).bytes;
    }
    // Reads as zeros.
    bool never_written(clusterfs::BlockNumber number) const {
        return content_.at(number) == nullptr && (below_ == nullptr || below_->never_written(number));
    }

    // Every sector of what that node has under way may or may not arrive.
    void node_crashed(int node, Random& random);
    // Every sector not flushed holds anything written to it since it last was.
    void power_lost(Random& random);

    std::uint64_t writes() const { return finished_; }

    // ---- damage: nobody has the filesystem mounted ----
    // What was written to the one place is in the other one, too.
    void misdirect(clusterfs::BlockNumber from, clusterfs::BlockNumber to);
    // Half of the sectors of another block.
    void tear(clusterfs::BlockNumber number, clusterfs::BlockNumber other, Random& random);
    void flip_bit(clusterfs::BlockNumber number, Random& random);
    void make_unreadable(clusterfs::BlockNumber number) { unreadable_.insert(number); }
    bool is_unreadable(clusterfs::BlockNumber number) const { return unreadable_.contains(number); }

  private:
    static constexpr std::size_t sector_size = 512;
    static constexpr std::size_t sectors_per_block = clusterfs::block_size / sector_size;
    struct UnderWay {
        int node = 0;
        clusterfs::BlockNumber first = 0;
        std::vector<clusterfs::BlockHandle> blocks;
        bool stable = false;
        clusterfs::InodeNumber data_of = 0;
    };
    // One version of some sectors of a block. Images are shared, never changed.
    using Sectors = std::uint8_t;
    struct Version {
        std::uint64_t finished = 0;
        clusterfs::BlockHandle image;
        Sectors sectors = 0;
        clusterfs::InodeNumber data_of = 0;  // no longer, once it is stable
    };
    using Versions = std::vector<Version>;

    clusterfs::BlockHandle image_of(clusterfs::BlockNumber number) const;
    void put(clusterfs::BlockNumber number, const clusterfs::BlockHandle& image, Sectors sectors, bool stable,
             clusterfs::InodeNumber data_of);
    void apply(const UnderWay& write, Random* tear);

    std::uint64_t blocks_;
    std::vector<clusterfs::BlockHandle> content_;
    const Device* below_ = nullptr;
    DeviceObserver* observer_ = nullptr;
    // Of each sector with unflushed writes: what is stable, then every version since.
    std::map<clusterfs::BlockNumber, Versions> unflushed_;
    std::map<Request, UnderWay> under_way_;
    std::set<clusterfs::BlockNumber> unreadable_;  // until it is written
    Request last_request_ = 0;
    std::uint64_t finished_ = 0;
};

}  // namespace sim
