// The advisory locks of all nodes, for FUSE threads: PosixLocks with a mutex, its group, and those who wait.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/group_messenger.hh"
#include "base/io/event_loop.hh"
#include "clusterfs/core/posix_locks.hh"

namespace clusterfs {

class PosixLockService {
  public:
    using Answer = std::function<void(AdvisoryOutcome, std::optional<AdvisoryLock> conflict)>;

    // `group` may be null: then this node is the only one. Loop thread (or before the loop runs), like start().
    PosixLockService(base::EventLoop& loop, std::unique_ptr<base::GroupMessenger> group, base::NodeIncarnation self);
    ~PosixLockService();

    base::Result<void> start(const std::string& group_name, std::function<void(const base::Error&)> lost);
    void on_fenced(const base::NodeIncarnation& dead);
    void leave();

    // Any thread. The answer comes once, on this thread or the loop's. Returns a number for cancel(), 0 if it was
    // answered already.
    std::uint64_t request(AdvisoryRequest request, Answer answer);
    void test(AdvisoryRequest request, Answer answer);
    void cancel(std::uint64_t id);
    bool may_own(std::uint64_t owner, AdvisoryKind kind, InodeNumber inode);
    // The node of a lock's holder, to tell whether its process id means anything here.
    base::NodeId self_node() const { return self_.node; }
    void describe(base::JsonWriter& json);

  private:
    template <typename Call>
    void with_locks(Call call);

    base::EventLoop& loop_;
    std::unique_ptr<base::GroupMessenger> group_;
    base::NodeIncarnation self_;
    std::mutex mutex_;
    PosixLocks locks_;
    std::uint64_t next_id_ = 1;
    std::map<std::uint64_t, Answer> waiting_;
};

}  // namespace clusterfs
