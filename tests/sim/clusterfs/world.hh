// Two nodes, one device, clients that work on both, faults; and who checks it all.
#pragma once

#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/clusterfs/device.hh"
#include "tests/sim/clusterfs/lock_service.hh"
#include "tests/sim/clusterfs/node.hh"
#include "tests/sim/clusterfs/workload.hh"
#include "tests/sim/common/scheduler.hh"

namespace sim {

struct WorldOptions {
    std::uint64_t seed = 0;
    bool trace = false;
    std::string workload;                // "bank" or "tree"; by seed if empty
    bool one_node = false;               // and no faults but the cut
    std::uint64_t cut_after_writes = 0;  // power fails after so many device writes
    std::uint64_t luck = 0;              // what of the unflushed survives the cut
    std::uint64_t operations = 0;        // at most so many; 0: as time allows
};

class World {
  public:
    explicit World(const WorldOptions& options);
    ~World();
    void run();
    // Device writes up to the end of the work.
    std::uint64_t writes_of_work() const { return writes_of_work_; }

  private:
    static constexpr int most_nodes = 2;
    struct Member {
        std::unique_ptr<Node> node;
        bool started = false;
        bool stopping = false;
        std::set<clusterfs::InodeNumber> kernel;  // inodes that the kernel keeps something of
        std::uint64_t committed_up_to = 0;        // operations that a commit has promised to keep
        std::size_t busy_clients = 0;
        std::set<int> dead_before;  // fenced when this life began
    };

    void run_one_node();
    bool step();
    void boot(int index);
    void started(int index);
    void stopped(int index, const base::Result<void>& outcome);
    void client(int index, std::uint64_t life);
    void one_operation(int index, std::uint64_t life);
    void one_task(int index, std::uint64_t life, std::uint64_t number, std::shared_ptr<ClientOperation> operation);
    void changed(int index, clusterfs::InodeNumber inode);
    void keep_in_kernel(int index, std::uint64_t life, const ClientOperation& operation);
    void after_operation(int index, std::uint64_t life, std::shared_ptr<ClientOperation> operation);
    void one_commit(int index, std::uint64_t life);
    void crash(int index);
    void power_loss();
    void pause(int index);
    void fault();
    // damage.cc: the third phase
    void damage();
    void damage_block(clusterfs::BlockNumber number, const std::vector<clusterfs::BlockNumber>& others);
    std::vector<clusterfs::BlockNumber> metadata_blocks() const;
    void work_on_damage();
    void mount_ends(int index, const base::Error& reason);
    bool is_refused(const base::Result<void>& outcome) const;
    void released_dead(const base::NodeIncarnation& dead);
    void recovered(int index);
    void finish();
    void wait_for(const char* what, const std::function<bool()>& condition);
    void watch();
    std::string describe() const;
    void say(const std::string& what);

    WorldOptions how_;
    Random random_;
    Scheduler scheduler_;
    Device device_;
    LockServer locks_;
    std::unique_ptr<Workload> workload_;
    std::array<Member, most_nodes> members_;
    std::array<std::uint64_t, most_nodes> lives_{};
    // Crashed, and what of them is there is not known yet: in which lives since it was.
    std::map<int, std::vector<base::NodeIncarnation>> unrecovered_;
    std::set<int> fenced_;          // of those
    std::set<int> unflushed_lost_;  // of those: the disk lost what was not flushed
    std::uint64_t last_operation_ = 0;
    int nodes_;
    std::uint64_t writes_of_work_ = 0;
    std::uint64_t writes_before_ = 0;
    bool cut_ = false;
    bool working_ = true;
    bool damaged_ = false;
    base::Instant last_progress_;
    bool faults_ = true;
    clusterfs::MountOptions options_;
};

}  // namespace sim
