// One mount of a simulated device, driven from outside step by step: each call returns when it has been answered.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "clusterfs/core/operations/inode_reference.hh"
#include "tests/sim/clusterfs/file_task.hh"
#include "tests/sim/clusterfs/node.hh"

namespace crash {

using clusterfs::operations::InodeReference;

class Session {
  public:
    // Mounts it; throws sim::Violation when that fails. `device` must live longer.
    Session(sim::Device& device, std::uint64_t seed);
    ~Session();

    // `applied` is called at the instant at which the change is made, before the device hears of it.
    base::Result<void> run(clusterfs::Mount::Operation operation, const std::function<void()>& applied = {});
    void commit(const std::function<void()>& done);
    void unmount(const std::function<void()>& done = {});
    // The first error, if any.
    base::Result<void> work_on_file(sim::FileRequest request, decltype(sim::FileHooks::changed) changed);
    base::Result<InodeReference> find(const std::string& path);
    // Keeps it open across whatever follows, until close().
    void open(InodeReference inode);
    void close(InodeReference inode);
    // What is due by itself: timers, write-back, deletions.
    void pass(base::Duration time);
    // Deletes what has no name any more and is not open.
    void delete_orphan(InodeReference inode);

  private:
    void run_until(const bool& done, const char* what);

    sim::Scheduler scheduler_;
    sim::Random random_;
    sim::LockServer locks_;
    std::unique_ptr<sim::Node> node_;
    bool started_ = false;
    bool stopped_ = false;
    base::Result<void> stop_outcome_;
};

}  // namespace crash
