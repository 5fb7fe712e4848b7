// Two machines, what is between them, what happens to them, and who checks.
#pragma once

#include <array>
#include <memory>
#include <set>
#include <string>

#include "tests/sim/clusterfs/workload.hh"
#include "tests/sim/fencing/device.hh"
#include "tests/sim/whole/machine.hh"

namespace sim_whole {

// Sizes and times, of the seed.
struct Knobs {
    std::uint32_t al_extents = 8;
    std::uint32_t resync_chunks = 4;
    std::uint64_t resync_chunk_length = 65536;
    base::Duration reconnect_grace = base::Duration::seconds(1);
};

class World {
  public:
    World(std::uint64_t seed, bool trace);
    void run();

    sim::Random& random() { return random_; }
    sim::Scheduler& scheduler() { return scheduler_; }
    sim_dlm::Group& group() { return group_; }
    sim_dlm::Network& network() { return network_; }
    Machine& other(std::uint32_t index) { return *machines_[1 - index]; }
    const clusterfs::MountOptions& mount_options() const { return options_; }
    const Knobs& knobs() const { return knobs_; }
    // No change of the network is on its way to the rings.
    bool rings_stand() const { return changes_under_way_ == 0; }
    void lost_power(base::NodeId node);
    sim_dlm::Group& fence_group() { return fence_group_; }
    const fencing::Settings& fencing_settings() const { return fencing_settings_; }
    sim_fencing::Device& fence_device(const std::string& name) { return *fence_devices_.at(name); }
    void say(const std::string& what);

    void mounted(std::uint32_t index);
    void unmounted(std::uint32_t index);
    // `by`: who has replayed.
    void released_dead(const base::NodeIncarnation& dead, std::uint32_t by);
    void recovered(std::uint32_t index, std::uint32_t by);

    // Nobody is called dead who lives.
    void check_dead(const base::NodeIncarnation& life) const;
    void try_connect();
    void break_connection(std::uint64_t connection);
    void carry(std::uint32_t from, std::uint64_t connection, const blockrep::Frame& frame,
               const blockrep::Payload& payload);
    void power_off(std::uint32_t index);

  private:
    struct Member {
        std::uint64_t committed_up_to = 0;
        std::size_t busy = 0;
        std::uint64_t life = 0;
    };
    void prepare();
    bool reach(base::NodeId a, base::NodeId b) const;
    void client(std::uint32_t index, std::uint64_t life);
    void one_operation(std::uint32_t index, std::uint64_t life);
    void one_commit(std::uint32_t index, std::uint64_t life);
    void turn_knobs();
    void fault();
    void network_fault();
    void pause(std::uint32_t index);
    void trouble_disk(std::uint32_t index);
    void cut_one_way(std::uint32_t from);
    void make_deaf(std::uint32_t index);
    void power_on_later(std::uint32_t index);
    void prepare_fencing();
    void break_fence_device();
    void cut_cluster(base::Duration lasts);
    void cut_everything();
    base::Duration some_time();
    void rings_change(base::Duration least, base::Duration most);
    void watch_quorum();
    void cut_replication(base::Duration lasts);
    void finish();
    void settle();
    void wait_for(const char* what, const std::function<bool()>& condition);
    Machine& machine(std::uint32_t index) { return *machines_[index]; }

    sim::Random random_;
    bool trace_;
    sim::Scheduler scheduler_;
    sim_dlm::Group group_;
    sim_dlm::Group fence_group_;
    sim_dlm::Network network_;
    clusterfs::MountOptions options_;
    Knobs knobs_;
    struct HeldFrame {
        std::uint64_t connection;
        blockrep::Frame frame;
        blockrep::Payload payload;
    };
    std::optional<std::uint32_t> stalled_from_;  // what it sends over the replication link does not arrive
    std::vector<HeldFrame> held_frames_;
    std::optional<std::uint32_t> deaf_;  // nothing arrives there over the lock network
    fencing::Settings fencing_settings_;
    std::map<std::string, std::unique_ptr<sim_fencing::Device>> fence_devices_;
    std::unique_ptr<sim::Workload> workload_;
    std::array<std::unique_ptr<Machine>, 2> machines_;
    std::array<Member, 2> members_;
    std::map<std::uint32_t, std::vector<base::NodeIncarnation>>
        unrecovered_;  // whose journals count; in which lives they died
    std::uint64_t next_connection_ = 1;
    bool link_works_ = true;
    bool cluster_works_ = true;
    base::Instant together_since_;
    int changes_under_way_ = 0;
    bool working_ = true;
    bool settling_ = false;         // clients work at leisure while what was broken mends
    std::set<std::uint32_t> gone_;  // unmounted at the end
};

}  // namespace sim_whole
