// After a death: the survivor gets every slot that nobody alive owns, replays its journal, and says that the dead
// node's locks may be granted. Every survivor does this; the first to get the slot's lock replays, the others find the
// journal clean.
#pragma once

#include <deque>
#include <functional>
#include <optional>

#include "clusterfs/core/slot_claim.hh"

namespace clusterfs {

class SlotRecovery {
  public:
    struct Callbacks {
        Replay::Ours ours;
        std::function<void(std::uint32_t slot)> recovered;  // its orphans can be deleted now
        std::function<void(const base::Error&)> failed;     // its locks stay withheld
    };
    // `own_slot`: none for a read-only mount.
    SlotRecovery(MountIo& io, const Superblock& superblock, std::optional<std::uint32_t> own_slot, Callbacks callbacks)
        : io_(io), superblock_(superblock), own_slot_(own_slot), callbacks_(std::move(callbacks)) {}
    SlotRecovery(const SlotRecovery&) = delete;
    SlotRecovery& operator=(const SlotRecovery&) = delete;

    void node_died(const base::NodeIncarnation& node);
    // Our own slot is given up in the slot map, after its journal was closed.
    void leave(std::uint32_t slot, MountIo::Done done);
    bool busy() const { return busy_ || !queue_.empty(); }
    std::uint64_t replayed_journals() const { return replayed_; }
    std::size_t waiting() const { return queue_.size() + (busy_ ? 1 : 0); }

  private:
    void next();
    void read_map(base::NodeIncarnation node);
    void recover_slots(base::NodeIncarnation node, std::shared_ptr<Block> map, std::uint32_t slot);
    void got_slot(base::NodeIncarnation node, std::shared_ptr<Block> map, std::uint32_t slot);
    void finish(base::NodeIncarnation node, std::shared_ptr<Block> map);
    void released(base::NodeIncarnation node);
    void give_up(const base::Error& error);
    void clear_slot(std::uint32_t slot, MountIo::Done done);

    MountIo& io_;
    const Superblock& superblock_;
    std::optional<std::uint32_t> own_slot_;
    Callbacks callbacks_;
    std::deque<base::NodeIncarnation> queue_;
    bool busy_ = false;
    bool map_changed_ = false;
    std::uint64_t replayed_ = 0;
};

}  // namespace clusterfs
