// What reached the device and when, and every state that a power failure could have left.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tests/sim/clusterfs/device.hh"

namespace crash {

// What was known at a point of the record.
struct Known {
    std::size_t visible = 0;   // number of the newest version that a client may have seen
    std::size_t promised = 0;  // number of the newest version that had been promised to be durable
};

class Record : public sim::DeviceObserver {
  public:
    void write_begun(std::uint64_t request, clusterfs::BlockNumber first,
                     const std::vector<clusterfs::BlockHandle>& blocks, bool stable) override;
    void write_ended(std::uint64_t request) override;
    void flush_ended(std::uint64_t finished) override;
    void note(Known known);

    // Calls `check` with the number of the state, its image and what was known, for every state whose number leaves
    // the rest `part` when divided by `parts`. `base` is the device before the first write. Returns how many there are.
    using Check = std::function<void(std::uint64_t state, const sim::Device& image, const Known& known)>;
    std::uint64_t for_each_state(const sim::Device& base, std::uint64_t part, std::uint64_t parts,
                                 const Check& check) const;
    std::size_t writes() const { return writes_; }
    std::size_t flushes() const { return flushes_; }

  private:
    enum class Kind { write_begun, write_ended, flush_ended, note };
    struct Event {
        Kind kind;
        std::uint64_t number = 0;  // request, or how many are covered by a flush
        clusterfs::BlockNumber first = 0;
        std::vector<clusterfs::BlockHandle> blocks;
        bool stable = false;
        Known known;
    };
    struct Pending {  // a write of the epoch
        const Event* write = nullptr;
        std::uint64_t ended = 0;       // as the how manieth write; 0: still under way
        std::vector<bool> replaced{};  // blocks that a later write has replaced for good
    };
    class States;

    std::vector<Event> events_;
    std::size_t writes_ = 0;
    std::size_t flushes_ = 0;
};

}  // namespace crash
