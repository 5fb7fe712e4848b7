// One machine: disk, resource, lockspace, mount; and the glue that daemons are made of.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "blockrep/core/resource.hh"
#include "clusterfs/core/mount.hh"
#include "dlm/core/lockspace.hh"
#include "fencing/core/fencer.hh"
#include "tests/sim/common/scheduler.hh"
#include "tests/sim/dlm/group.hh"
#include "tests/sim/dlm/peers.hh"
#include "tests/sim/whole/replica_disk.hh"

namespace sim_whole {

class World;

class Machine {
  public:
    Machine(World& world, std::uint32_t index, std::uint64_t data_blocks);

    void boot();
    void lose_power();
    bool powered() const { return resource_ != nullptr; }
    // Nothing runs on it for so long: what arrives waits.
    void pause(base::Duration lasts, std::function<void()> awake);
    bool awake() const { return powered() && !paused_; }
    // Requests to its disk of some kinds fail, that many of a hundred.
    struct DiskTrouble {
        bool reads = false, writes = false, flushes = false, metadata = false;
        std::uint64_t percent = 0;
    };
    void trouble_disk(const DiskTrouble& trouble, base::Duration lasts);
    bool disk_is_troubled() const { return trouble_.percent != 0; }
    bool is_full_replica() const;
    bool mounted() const { return mounted_; }
    const base::NodeIncarnation& life() const { return life_; }
    ReplicaDisk& disk() { return disk_; }
    const blockrep::Resource& resource() const { return *resource_; }
    const fencing::Fencer& fencer() const { return *fencer_; }
    // Somebody on this machine waits for the end of another.
    bool wants_somebody_fenced() const { return !wishes_.empty(); }
    std::uint64_t boots() const { return run_; }
    // Its lockspace has been one with that life: whatever becomes of it, the mount will be told.
    bool has_met(const base::NodeIncarnation& life) const { return met_.contains(life); }
    // Once in a life: it has seen the other node (two_node, wait_for_all).
    void become_quorate();
    bool quorate() const { return quorate_; }
    void command(blockrep::CommandKind kind);
    std::string describe() const;

    // Clients of the filesystem.
    void run(clusterfs::Mount::Operation operation, clusterfs::Mount::Completion done);
    void commit(clusterfs::Mount::Completion done);
    void unmount();

    // The replication link, by the world.
    void link_opened(std::uint64_t connection);
    void link_closed();
    void frame_arrived(std::uint64_t connection, const blockrep::Frame& frame, const blockrep::Payload& payload);
    bool wants_link() const { return powered() && wants_link_; }
    std::uint64_t connection() const { return connection_; }

  private:
    // machine.cc: the mount
    void start_mount();
    void call(const std::function<void(base::Instant, base::WallTime, clusterfs::Actions&)>& work);
    void happened(clusterfs::Event event);
    void perform(clusterfs::Action& action);
    void arm_mount();
    void later(base::Duration delay, std::function<void()> work);
    void when_awake(std::function<void()> work);
    base::Duration some(std::int64_t low, std::int64_t high);

    // machine_device.cc: the resource and its disk
    void step(blockrep::Event event);
    void perform(blockrep::Action& action);
    void perform_disk(blockrep::Action& action);
    void write_ends(sim::Device::Request request, blockrep::Ticket ticket, bool works);
    void metadata_ends(std::uint64_t request, blockrep::Ticket ticket, bool works);
    void flush_ends(std::uint64_t finished, blockrep::Ticket ticket, bool works);
    bool disk_begins(bool DiskTrouble::*kind);
    void attach_again();
    void refused(const base::Error& error);
    void complete(blockrep::Ticket client, base::Result<blockrep::Payload> result);
    void arm_resource();
    void promoted(const base::Result<void>& outcome);
    using DeviceDone = std::function<void(base::Result<blockrep::Payload>)>;
    void ask_device(blockrep::Event event, DeviceDone done);
    void read_blocks(const clusterfs::ReadBlocks& action);
    void write_blocks(const clusterfs::WriteBlocks& action);

    // machine_fencer.cc: the fencing daemon
    void start_fencer();
    void join(sim_dlm::Group& group, base::GroupMember who, sim_dlm::Group::Member member);
    void step(const fencing::Event& event);
    void perform(const fencing::Action& action);
    void run_agent(const fencing::RunAgent& action);
    void ask_for_fence(const std::string& program, const base::NodeIncarnation& victim);
    void withdraw_fence(const std::string& program, const base::NodeIncarnation& victim);
    void fenced(const base::NodeIncarnation& dead);
    void await_nobody_missing(std::uint64_t question);
    void arm_fencer();

    // machine_locks.cc: the lockspace
    void start_lockspace();
    void step(const dlm::Event& event);
    void perform(dlm::Action& action);
    void lock_completed(const dlm::Completed& completed);
    void lock_wanted(const dlm::BlockingNotice& notice);
    void request_lock(const clusterfs::RequestLock& request);
    void release_lock(const clusterfs::ReleaseLock& release);
    void arm_lockspace();

    struct HeldLock {
        dlm::LockId id = 0;
        bool granted = false;
        bool pending = false;
    };

    World& world_;
    std::uint32_t index_;
    ReplicaDisk disk_;
    base::NodeIncarnation life_;
    std::uint64_t run_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

    std::unique_ptr<fencing::Fencer> fencer_;
    std::vector<fencing::HistoryEntry> fence_history_;  // on the disk
    std::set<std::pair<base::NodeIncarnation, std::string>> wishes_;
    std::optional<base::Instant> fencer_armed_;

    std::unique_ptr<blockrep::Resource> resource_;
    std::uint64_t connection_ = 0;
    bool wants_link_ = false;
    std::map<blockrep::Ticket, DeviceDone> device_requests_;
    blockrep::Ticket next_ticket_ = 100;
    std::optional<base::Instant> resource_armed_;
    DiskTrouble trouble_;
    std::size_t disk_requests_ = 0;  // begun and not answered
    bool disk_failed_ = false;       // since it was attached
    bool paused_ = false;
    std::deque<std::function<void()>> asleep_;  // what waits until it wakes up

    std::unique_ptr<dlm::Lockspace> lockspace_;
    dlm::Member self_;
    std::unique_ptr<sim_dlm::Peers> peers_;
    std::set<base::NodeIncarnation> met_;
    std::map<clusterfs::LockName, HeldLock> held_;
    std::map<dlm::LockId, clusterfs::LockName> names_;
    dlm::LockId next_lock_ = 1;
    dlm::OperationId next_operation_ = 1;
    std::optional<base::Instant> lockspace_armed_;

    std::unique_ptr<clusterfs::Mount> mount_;
    bool mounted_ = false;
    bool quorate_ = false;
    std::optional<base::Instant> mount_armed_;
    std::vector<std::function<void()>> finished_;
};

}  // namespace sim_whole
