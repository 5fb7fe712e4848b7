// A mounted filesystem without FUSE: device in memory, every lock granted, a kernel that notes what it is told. The
// test is the other node.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/block_device.hh"
#include "base/io/event_loop.hh"
#include "clusterfs/core/whole_device.hh"
#include "clusterfs/driver/file_write.hh"
#include "clusterfs/driver/filesystem.hh"
#include "clusterfs/driver/local_locks.hh"

namespace clusterfs::test {

class MemoryDevice : public base::BlockDevice {
  public:
    MemoryDevice(base::EventLoop& loop, std::vector<Block> content) : loop_(loop), content_(std::move(content)) {}

    std::uint64_t size() const override { return content_.size() * block_size; }
    std::uint32_t alignment() const override { return block_size; }
    void read(std::uint64_t offset, base::MutableByteView into, Completion done) override;
    void write(std::uint64_t offset, base::ByteView from, base::Durability durability, Completion done) override;
    void flush(Completion done) override;
    void discard(std::uint64_t offset, std::uint64_t length, Completion done) override;

    // Reads that come from now on wait for thaw_reads().
    void freeze_reads();
    std::size_t held_reads() const;
    void thaw_reads();

    // Writes that come from now on wait for thaw_writes(), and are not on the device before.
    void freeze_writes();
    void thaw_writes();
    // So many writes are answered with an error.
    std::atomic<int> refuses = 0;

    std::size_t writes() const;
    // Some block holds these bytes.
    bool holds(const std::string& bytes) const { return block_that_holds(bytes) != 0; }
    BlockNumber block_that_holds(const std::string& bytes) const;
    // How the block that holds these bytes was last written.
    bool holds_stable(const std::string& bytes) const;
    // What another node would have written.
    void patch(BlockNumber block, const std::string& old, const std::string& bytes);

  private:
    base::EventLoop& loop_;
    mutable std::mutex mutex_;
    std::vector<Block> content_;
    bool frozen_ = false;
    bool writes_frozen_ = false;
    std::size_t writes_ = 0;
    std::map<BlockNumber, base::Durability> written_;
    std::vector<std::function<void()>> held_;
    std::vector<std::function<void()>> held_writes_;
};

class TestLocks : public LocalLocks {
  public:
    using LocalLocks::LocalLocks;
    void start(Callbacks callbacks) override;
    Answer try_request(LockName name, LockMode mode, bool no_queue, bool recovery) override;
    void release(LockName name, LockMode keep) override;

    // Another node has that lock: it is not granted exclusively until grant(). Meanwhile the request may be refused.
    void withhold(const LockName& name);
    bool is_asked_for(const LockName& name) const;
    void refuse(const LockName& name);
    void grant(const LockName& name);

    void another_node_asks(const LockName& name, LockMode mode) const { callbacks_.wanted(name, mode); }
    bool released(const LockName& name) const;
    void forget_releases();

  private:
    Callbacks callbacks_;
    mutable std::mutex mutex_;
    std::vector<LockName> released_;
    std::optional<LockName> withheld_;
    bool asked_ = false;
};

class TestKernel : public KernelNotifier {
  public:
    struct Invalidation {
        std::uint64_t node_id;
        std::uint64_t offset;
        std::uint64_t length;
    };
    bool invalidate_inode(std::uint64_t node_id, std::uint64_t offset, std::uint64_t length) override;
    void raise_epoch() override {}
    bool has_epoch() const override { return true; }
    void negotiated(unsigned) override {}

    std::vector<Invalidation> invalidations() const;
    // Runs before it forgets.
    void before_it_forgets(std::function<void()> work);
    // So many times it says that it does not know the inode.
    std::atomic<int> ignorant = 0;

  private:
    mutable std::mutex mutex_;
    std::vector<Invalidation> invalidations_;
    std::function<void()> before_;
};

class Rig {
  public:
    explicit Rig(FilesystemOptions options = {}, base::Duration minimum_hold = {});
    ~Rig();

    Filesystem& filesystem() { return filesystem_; }
    MemoryDevice& device() { return device_; }
    TestLocks& locks() { return locks_; }
    TestKernel& kernel() { return kernel_; }

    // An open file with that content.
    operations::InodeReference make_file(const std::string& name, const std::string& content);
    std::shared_ptr<OpenInode> open_inode(operations::InodeReference inode);
    void write(operations::InodeReference inode, std::uint64_t offset, const std::string& bytes);
    // Through the kernel's pages (mounts without opens).
    void begin_buffered_write(operations::InodeReference inode, std::uint64_t offset, const std::string& bytes,
                              WriteDone done);
    void begin_write(operations::InodeReference inode, std::uint64_t offset, const std::string& bytes, WriteDone done,
                     bool buffered = false);

    bool has_stopped() const { return stopped_; }
    // False after ten seconds without it.
    static bool comes_true(const std::function<bool()>& condition);

  private:
    base::EventLoop loop_;
    MemoryDevice device_;
    TestLocks locks_;
    PosixLockService advisory_;
    MountDriver driver_;
    Filesystem filesystem_;
    TestKernel kernel_;
    std::atomic<bool> started_ = false;
    std::atomic<bool> stopped_ = false;
    std::thread thread_;
};

}  // namespace clusterfs::test
