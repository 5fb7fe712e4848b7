// One life of a node: a mount, and the glue between it and the simulated device, locks, kernel and clock.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "clusterfs/core/mount.hh"
#include "tests/sim/clusterfs/device.hh"
#include "tests/sim/clusterfs/lock_service.hh"
#include "tests/sim/common/scheduler.hh"

namespace sim {

class Node {
  public:
    struct Environment {
        Scheduler& scheduler;
        Device& device;
        LockServer& locks;
        Random& random;
    };
    struct Callbacks {
        std::function<void()> started;
        std::function<void(base::Result<void>)> stopped;
        std::function<void(clusterfs::InodeNumber)> forget_in_kernel;
        std::function<void(base::NodeIncarnation)> released_dead;
        std::function<void(const base::Error&)> became_read_only;
    };

    Node(Environment environment, int index, clusterfs::MountOptions options, Callbacks callbacks);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    void start();
    void run(clusterfs::Mount::Operation operation, clusterfs::Mount::Completion done);
    void commit(clusterfs::Mount::Completion done);
    void unpin(const clusterfs::LockName& name);
    void stop();
    // Nothing runs on it for so long: what arrives waits. What it has asked of the device is done meanwhile.
    void pause(base::Duration lasts);
    bool is_paused() const { return paused_; }
    // Runs in this life, after the current call.
    void later(std::function<void()> work);
    // File data, past the mount.
    void read_data(const std::vector<clusterfs::BlockNumber>& numbers,
                   std::function<void(const std::map<clusterfs::BlockNumber, clusterfs::Block>&)> done);
    void write_data(clusterfs::InodeNumber inode, const std::map<clusterfs::BlockNumber, clusterfs::Block>& blocks,
                    bool stable, std::function<void()> done);
    bool reader_follows(clusterfs::InodeNumber inode) const;
    // As the driver appends (driver/appended_data): under way when this returns; every flush waits for it.
    void append_data(clusterfs::InodeNumber inode, const std::map<clusterfs::BlockNumber, clusterfs::Block>& blocks);
    // When what was appended to that file until now is on the device; at once, perhaps.
    void when_written(clusterfs::InodeNumber inode, std::function<void()> then);
    clusterfs::Mount& mount() { return *mount_; }
    const base::NodeIncarnation& life() const { return life_; }
    std::string describe() const;

  private:
    void call(const std::function<void(base::Instant, base::WallTime, clusterfs::Actions&)>& work);
    void happened(clusterfs::Event event);
    void perform(clusterfs::Action& action);
    void check_data_is_stable(const clusterfs::LockName& name, const std::string& moment) const;
    void when_awake(std::function<void()> work);
    // `device` happens whatever becomes of the node, unless it dies; `then` when it is awake.
    void after_io(std::function<void()> device, std::function<void()> then);
    std::vector<std::shared_ptr<clusterfs::Block>> copies(clusterfs::BlockNumber first, std::uint32_t count) const;
    bool is_readable(clusterfs::BlockNumber first, std::uint32_t count) const;
    void when_written(const std::function<bool(clusterfs::InodeNumber)>& concerns, std::function<void()> then);
    void appended(std::uint64_t id);
    void arm_timer();

    struct Waiter {
        std::set<std::uint64_t> appends;
        std::function<void()> then;
    };

    Environment world_;
    int index_;
    base::NodeIncarnation life_;
    Callbacks callbacks_;
    std::unique_ptr<clusterfs::Mount> mount_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::vector<std::function<void()>> finished_;
    bool paused_ = false;
    std::deque<std::function<void()>> waiting_;
    std::optional<base::Instant> armed_;
    std::map<std::uint64_t, clusterfs::InodeNumber> appends_;  // under way
    std::uint64_t last_append_ = 0;
    std::vector<Waiter> waiters_;
};

}  // namespace sim
