// The ends of files that are appended to, where they fill no whole block. Such a piece is answered when it is here: the
// block goes to the device once for many pieces, at the next flush at the latest, so before the metadata that makes it
// part of the file is committed (README, invariant 7), and with that before the inode's lock is given back.
//
// What keeps that true: who appends holds the inode's lock pinned, puts the bytes here, says that data was written, and
// only then changes the inode; when that fails it has everything written before it lets the lock go. An image counts
// under the tenure of the lock that it was made in, no other.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/block_device.hh"
#include "base/json_writer.hh"
#include "clusterfs/core/block.hh"
#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/driver/io_buffer.hh"

namespace clusterfs {

// A block of a file in which these bytes are new from `begin` on; what follows them is not part of the file.
struct TailPart {
    BlockNumber block = 0;
    std::uint32_t begin = 0;
    base::ByteView bytes;
};

struct TailAppend {
    operations::InodeReference inode;
    std::uint64_t tenure = 0;
    std::vector<TailPart> parts;  // at least one; all but the first begin at 0
};

class DirtyTails {
  public:
    using Done = std::function<void(base::Result<void>)>;

    DirtyTails(base::BlockDevice& device, IoBufferPool& buffers) : device_(device), buffers_(buffers) {}

    // False: the image of the first block is not here.
    [[nodiscard]] bool append(const TailAppend& append);
    // With the image of the first block as it is to be on the device, but for the new bytes. Nothing of that file may
    // be here.
    void start(const TailAppend& append, IoBuffer image);

    // Any thread, each; `done` runs on this one or another. Has what is here of that file, or of all, on the device.
    void write_out(InodeNumber inode, Done done);
    void write_out_all(Done done);
    // The same, and nothing is here afterwards. Only by who may write to the file now (OpenInode::enter).
    void clear(InodeNumber inode, Done done);
    // There is so much of that file, or of all, that it should be written out.
    bool is_much(InodeNumber inode) const;
    void describe(base::JsonWriter& json) const;

  private:
    struct Image {
        IoBuffer bytes;
        std::uint32_t fill = 0;
        bool dirty = false;
    };
    struct File {
        std::uint64_t generation = 0;
        std::uint64_t tenure = 0;
        std::map<BlockNumber, Image> images;
        bool writing = false;
        std::vector<std::function<void()>> waiting;  // until nothing is being written
        bool any_dirty() const;
    };
    struct WriteOut;

    void drop_clean();
    void put(File& file, const TailAppend& append);
    void wrote(const std::shared_ptr<WriteOut>& job, std::size_t which, const base::Result<void>& outcome);

    base::BlockDevice& device_;
    IoBufferPool& buffers_;
    mutable std::mutex mutex_;
    std::unordered_map<InodeNumber, File> files_;
};

}  // namespace clusterfs
