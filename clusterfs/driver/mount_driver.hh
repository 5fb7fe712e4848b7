// A Mount with a mutex, a device, locks, a clock and threads: what it wants done is done here, what happened is told
// to it here. Holds no protocol decision.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/block_device.hh"
#include "base/io/event_loop.hh"
#include "clusterfs/core/mount.hh"
#include "clusterfs/driver/appended_data.hh"
#include "clusterfs/driver/invalidator.hh"
#include "clusterfs/driver/io_buffer.hh"
#include "clusterfs/driver/lock_service.hh"

namespace clusterfs {

class MountDriver {
  public:
    struct Callbacks {
        std::function<void()> started;
        // Once; nothing happens afterwards. An error before `started`: it could not be mounted.
        std::function<void(base::Result<void>)> stopped;
        // Makes the kernel forget an inode; called on an invalidation thread. May be empty until there is a kernel.
        std::function<void(InodeNumber inode, bool is_directory, const std::function<void()>& done)> forget_in_kernel;
        std::function<void(base::NodeIncarnation)> node_died;
        // Nothing can be changed any more; reading goes on. May be empty.
        std::function<void(const base::Error&)> became_read_only;
        // The locks can no longer be relied on: whatever is written from now on may overwrite what others wrote.
        std::function<void(const base::Error&)> locks_lost;
    };

    MountDriver(MountOptions options, base::BlockDevice& device, LockService& locks, base::EventLoop& loop);
    ~MountDriver();
    MountDriver(const MountDriver&) = delete;
    MountDriver& operator=(const MountDriver&) = delete;

    // Any thread, each; completions run on the calling thread or another, never under the mutex, and may call again.
    void start(Callbacks callbacks);
    void run(Mount::Operation operation, Mount::Completion done);
    void commit(Mount::Completion done);
    void unpin(const LockName& name);
    [[nodiscard]] bool close(InodeNumber inode);
    void note_data_written(FileData what, InodeNumber inode);
    bool reader_follows(InodeNumber inode);
    void stop();

    // Inside an operation, that is under the mutex, with the lock of the inode: may the kernel keep what is answered,
    // and that this operation's answer brings content that it will keep.
    bool may_cache(InodeNumber inode) const { return mount_.may_cache(inode); }
    void note_read_served(InodeNumber inode) { mount_.note_read_served(inode); }
    // Changes whenever the inode's lock was given up in between.
    std::uint64_t tenure(InodeNumber inode) const { return mount_.tenure(inode); }

    base::BlockDevice& device() { return device_; }
    IoBufferPool& buffers() { return buffers_; }
    AppendedData& appended() { return appended_; }
    Invalidator& invalidator() { return invalidator_; }
    const Superblock& superblock() const { return mount_.superblock(); }
    void describe(base::JsonWriter& json);

  private:
    struct Batch {
        Actions device_work;
        std::vector<std::function<void()>> finished;
    };

    template <typename Call>
    void with_mount(Call call);
    void happened(Event event);
    Mount::Completion deferred(Mount::Completion done);
    std::vector<Event> sort_out(Actions actions, Batch& batch);
    void ask_for_lock(const RequestLock& request, std::vector<Event>& answers);
    void perform(Batch batch);
    void read_blocks(const ReadBlocks& action);
    void write_blocks(const WriteBlocks& action);
    void flush(const FlushDevice& action);
    void invalidate(const InvalidateKernel& action);
    void arm_timer(base::Instant now);
    void timer_due();

    base::BlockDevice& device_;
    LockService& locks_;
    base::EventLoop& loop_;
    Callbacks callbacks_;
    IoBufferPool buffers_;
    AppendedData appended_{device_, buffers_};

    std::mutex mutex_;  // guards mount_, finished_, armed_for_
    Mount mount_;
    std::vector<std::function<void()>> finished_;
    std::optional<base::Instant> armed_for_;
    base::EventLoop::Handle timer_;  // loop thread only

    Invalidator invalidator_;  // last: its threads end before anything they use
};

}  // namespace clusterfs
