// What must be kept in order within this node, per inode in use: who writes, which reads are on their way to the
// device. The cluster's locks say nothing about that, they belong to the node as a whole.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "clusterfs/core/block.hh"

namespace clusterfs {

class OpenInode {
  public:
    explicit OpenInode(InodeNumber inode) : inode_(inode) {}
    InodeNumber inode() const { return inode_; }

    // What changes content or size: one at a time, in order of arrival. `go` runs at once when nobody is in, else on
    // the thread of who leaves. Never taken by reads: a read that waited here could keep the kernel from giving up
    // pages, and with them the lock that the writer in front waits for.
    void enter(std::function<void()> go);
    void leave();

    // A read has learned where its blocks are. Called inside the operation, under the mount's mutex, so that an
    // operation that frees blocks sees it; ended when it was answered.
    void begin_read();
    void end_read();
    bool reads_in_flight() const;
    // Runs `go` when no read is in flight (at once, perhaps).
    void when_no_reads(std::function<void()> go);

    // From hold_reads() to let_reads_go() reads that hold nothing of the kernel's (no page) are kept back: else an
    // operation that waits for a moment without any would wait as long as somebody reads all the time. One holder, who
    // has entered.
    void hold_reads();
    void let_reads_go();
    // False: it may go on; `go` is not kept.
    template <typename Go>
    [[nodiscard]] bool keep_back(Go go) {
        const std::lock_guard lock(mutex_);
        if (reads_held_) held_reads_.emplace_back(std::move(go));
        return reads_held_;
    }

    // The kernel was or will be given these bytes (also where the file has none) and keeps them. Inside the operation.
    void note_cached(std::uint64_t offset, std::uint64_t length);
    // They were changed or cut off (to the end: a length that large): true if the kernel has to be told to drop its
    // pages, which it then must be. It drops those of what is written itself, too, but before the write is sent.
    bool take_cached(std::uint64_t offset, std::uint64_t length);

    // ---- writes through the kernel's pages (only in mounts without opens) ----
    // The kernel holds pages while it waits for the answer to such a write, and the write may wait for the inode's
    // lock. To forget those pages before the lock is given back would wait for both: so the lock is given back without,
    // and the pages are dropped once the write was answered. Until then, readers of this node may see what is old.
    //
    // A write has come; who waits for the kernel now is told that it may go on (`yielded`, on this thread).
    void begin_buffered_write();
    // What it left in the pages is not what the file has.
    void note_stale_pages();
    // It was answered. True: the pages must be dropped now.
    [[nodiscard]] bool end_buffered_write();
    // The kernel is about to be asked to drop all pages. False: it is not to be asked, a write is under way. `yielded`
    // is called when one comes; not any more after end_invalidation().
    [[nodiscard]] bool begin_invalidation(std::function<void()> yielded);
    void end_invalidation();

  private:
    const InodeNumber inode_;
    mutable std::mutex mutex_;
    bool busy_ = false;
    std::deque<std::function<void()>> waiting_;
    std::size_t reads_ = 0;
    // What may be cached lies in between, page by page; kept until it was dropped.
    std::uint64_t cached_from_ = 0;
    std::uint64_t cached_to_ = 0;
    std::vector<std::function<void()>> after_reads_;
    bool reads_held_ = false;
    std::vector<std::function<void()>> held_reads_;
    std::size_t buffered_writes_ = 0;
    std::size_t invalidations_ = 0;
    bool stale_pages_ = false;
    std::vector<std::function<void()>> yielded_;
};

class OpenInodes {
  public:
    // The one record of that inode; lives as long as somebody holds it.
    std::shared_ptr<OpenInode> get(InodeNumber inode);
    std::size_t size() const;

  private:
    void drop(OpenInode* inode);

    mutable std::mutex mutex_;
    std::unordered_map<InodeNumber, std::weak_ptr<OpenInode>> inodes_;
};

}  // namespace clusterfs
