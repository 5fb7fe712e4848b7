// Deletes, in the background and in bounded steps, inodes that lost their last name and that nobody deleted: after a
// mount, after the replay of a dead node's journal, and now and then of our own slot (the last one that had such an
// inode open may have been another node).
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "clusterfs/core/mount_operations.hh"
#include "clusterfs/core/operations/open.hh"

namespace clusterfs {

class MountOrphans {
  public:
    MountOrphans(MountIo& io, MountOperations& operations) : io_(io), operations_(operations) {}
    MountOrphans(const MountOrphans&) = delete;
    MountOrphans& operator=(const MountOrphans&) = delete;

    void open(std::uint32_t own_slot);
    void clean(std::uint32_t slot);
    // No more steps are begun.
    void stop() { stopped_ = true; }
    void on_time_passed();
    std::optional<base::Instant> next_deadline() const { return stopped_ ? std::nullopt : next_scan_; }

    std::uint64_t deleted() const { return deleted_; }
    bool busy() const { return busy_; }

  private:
    void next();
    void list();
    void delete_next();

    MountIo& io_;
    MountOperations& operations_;
    std::optional<std::uint32_t> own_slot_;
    std::optional<base::Instant> next_scan_;
    std::deque<std::uint32_t> slots_;
    InodeNumber after_ = 0;
    std::vector<operations::InodeReference> found_;
    operations::Deletion outcome_ = operations::Deletion::done;
    bool busy_ = false;
    bool stopped_ = false;
    std::uint64_t deleted_ = 0;
};

}  // namespace clusterfs
