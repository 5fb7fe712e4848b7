// Whole blocks of file data on their way to the device, of writes that are answered already. They count as written only
// for who waits for them here first: every flush that the mount asks for does, and whoever reads or changes such a file
// by its blocks (driver/appended_data).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/block_device.hh"
#include "base/json_writer.hh"
#include "clusterfs/core/block.hh"
#include "clusterfs/driver/io_buffer.hh"

namespace clusterfs {

class BlocksUnderWay {
  public:
    using Done = std::function<void(base::Result<void>)>;
    struct Piece {
        std::uint64_t offset = 0;  // on the device, in bytes
        base::ByteView bytes;      // within the buffer
    };
    struct Write {
        InodeNumber inode = 0;
        std::vector<Piece> pieces;
        std::shared_ptr<const IoBuffer> buffer;
    };

    // The device outlives what is under way, this need not.
    explicit BlocksUnderWay(base::BlockDevice& device);

    using Id = std::uint64_t;
    using Started = std::function<void(base::Result<Id>)>;

    // Any thread, each; what is called runs on this one or another.
    //
    // `started` runs when the wait functions know of it: at once, or when less than `most` bytes are under way. It is
    // told an error, and nothing was begun, while something is here that the device has refused.
    void write(Write write, Started started);
    // Until what had been started of that inode, or of all, is on the device. What the device refused is here still: it
    // is written once more, and the error is told if that fails, too.
    void wait(InodeNumber inode, Done done);
    void wait_for_all(Done done);
    // Until that write has ended, whatever came of it; it is not repeated: its blocks are no part of the file.
    void discard(Id id, std::function<void()> done);

    void describe(base::JsonWriter& json) const;

    static constexpr std::uint64_t most = 4 * 1024 * 1024;

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace clusterfs
