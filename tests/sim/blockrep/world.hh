// Two nodes with one replicated resource: virtual time, a network that breaks, machines that die, clients that check.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "blockrep/core/resource.hh"
#include "tests/sim/blockrep/disk.hh"
#include "tests/sim/blockrep/history.hh"
#include "tests/sim/common/random.hh"
#include "tests/sim/common/run_seeds.hh"
#include "tests/sim/common/scheduler.hh"

namespace sim {

class World;

// One machine: its disk survives, its process and its clients do not.
class Node {
  public:
    Node(World& world, std::uint32_t index);

    void boot();           // power on: a new life, attach, connect, promote when possible
    void start_process();  // blockrepd alone, in the same life
    void crash(bool power);
    void pause(base::Duration lasts);  // nothing that happens reaches the process meanwhile
    bool running() const { return resource_ != nullptr; }
    bool powered() const { return powered_; }
    const base::NodeIncarnation& life() const { return life_; }
    std::uint64_t process() const { return process_; }  // what it has asked the fence for ends with it

    void step(blockrep::Event event);
    void link_opened(std::uint64_t connection);
    void link_closed();
    void frame_arrived(std::uint64_t connection, const blockrep::Frame& frame, const blockrep::Payload& payload);
    void fenced(const base::NodeIncarnation& dead);
    bool wants_link() const { return running() && wants_link_; }
    std::uint64_t connection() const { return connection_; }

    void start_request();  // a client of this node asks something
    void stop_clients() { clients_stopped_ = true; }
    void start_clients();
    std::size_t unanswered() const { return requests_.size(); }

    // ---- the operator (operator.cc)
    void force_promote();
    void give_role_up(base::Duration pause, bool disconnect);  // demote, perhaps disconnect; all of it again later
    void take_disk_away(base::Duration pause);                 // detach, and attach later
    void disconnect(base::Duration pause);                     // as things are, and connect later
    void put_right();                                          // attaches and connects what is not
    std::size_t open_commands() const { return commands_.size(); }
    std::string open_commands_text() const;
    bool refuses_without_caches() const { return refuses_without_caches_; }
    bool failed_to_flush() const { return failed_to_flush_; }
    bool operator_busy() const { return plans_ != 0; }  // something is to be undone later

    // ---- disk errors: for a while requests of these kinds fail, one in so many
    struct DiskTrouble {
        bool reads = false, writes = false, flushes = false, metadata = false;
        std::uint64_t percent = 0;
        base::Duration lasts{};
        bool at_handshake = false;  // not now, but when the next connection stands
    };
    void trouble_disk(const DiskTrouble& trouble);
    void heal_disk();

    const Disk& disk() const { return disk_; }
    const blockrep::Resource& resource() const { return *resource_; }
    std::string status() const;

  private:
    struct ClientRequest {
        enum class Kind { read, write, flush } kind;
        blockrep::Range range;
        Stamp first_stamp = 0;
        bool stable = false;
        bool zeroes = false;
        base::Instant begun;
    };
    void trace(const char* what, const blockrep::Range& range, const blockrep::Payload& payload) const;
    void perform(blockrep::Action& action);
    void on(blockrep::ReadLocal& action);
    void on(blockrep::WriteLocal& action);
    void on(blockrep::FlushLocal& action);
    void on(blockrep::WriteMetadata& action);
    void on(blockrep::CloseDisk&);
    void on(blockrep::OpenLink&);
    void on(blockrep::CloseLink&);
    void on(blockrep::SendFrame& action);
    void on(blockrep::RequestFence& action);
    void on(blockrep::WithdrawFence& action);
    void on(blockrep::CompleteRead& action);
    void on(blockrep::CompleteRequest& action);
    void on(blockrep::CompleteCommand& action);
    void on(blockrep::Report& action);
    // Later, if this process still lives.
    void later(base::Duration delay, std::function<void()> work);
    void plan_deadline();
    void plan_request();
    using Answered = std::function<void(bool)>;
    void order(blockrep::CommandKind kind, Answered answered = {});
    void promote();
    void demote(int tries, std::function<void()> then);
    void attach(Answered answered = {});
    // A request to the disk begins; false: it is to fail.
    void finish_later(std::uint64_t request, blockrep::Ticket ticket, std::int64_t low, std::int64_t high, bool works);
    bool disk_begins(bool DiskTrouble::*kind);
    void check_failure(const base::Error& error) const;
    blockrep::Range random_range();

    World& world_;
    std::uint32_t index_;
    Disk disk_;
    bool powered_ = false;
    base::NodeIncarnation life_;
    std::unique_ptr<blockrep::Resource> resource_;
    std::uint64_t process_ = 0;     // counts processes: what was planned for an earlier one is dropped
    std::uint64_t connection_ = 0;  // 0: none
    bool wants_link_ = false;
    bool paused_ = false;
    std::deque<blockrep::Event> waiting_;  // what has happened meanwhile
    bool clients_stopped_ = false;
    bool clients_paused_ = false;  // while it gives its role up
    bool wants_primary_ = true;
    bool failed_to_flush_ = false;         // a disk of this process
    bool refuses_without_caches_ = false;  // this process has said that both disks failed to flush
    std::size_t plans_ = 0;
    bool promote_open_ = false;
    bool attach_open_ = false;
    struct Command {
        std::string name;
        Answered answered;
    };
    std::map<blockrep::Ticket, Command> commands_;
    blockrep::Ticket next_command_ = 1;
    bool disk_open_ = false;         // as the driver sees it
    bool disk_failed_ = false;       // with an error, since it was attached
    std::size_t disk_requests_ = 0;  // begun and not answered, of any disk
    DiskTrouble trouble_;
    base::Instant trouble_ends_;
    std::optional<base::Instant> planned_;
    std::map<blockrep::Ticket, ClientRequest> requests_;
    blockrep::Ticket next_request_ = 1;
};

class World {
  public:
    World(std::uint64_t seed, bool trace);
    void run();

    Random random;
    Scheduler scheduler;
    History history;
    Stamp next_stamp = 1;
    std::uint64_t disk_size;
    bool link_works = true;
    bool two_primaries = true;
    bool formed = false;  // an operator has said which replica counts, and was answered
    struct Knobs {        // of the seed
        std::uint32_t al_extents = 8;
        std::uint32_t resync_chunks = 4;
        std::uint64_t resync_chunk_length = 16384;
        base::Duration reconnect_grace = base::Duration::seconds(1);
    };
    Knobs knobs{};
    std::optional<std::uint32_t> dead_for_good{};

    Node& node(std::uint32_t index) { return *nodes_[index]; }
    base::Instant now() const { return scheduler.now(); }
    void log(const std::string& line);
    bool tracing() const { return trace_; }
    void try_connect();
    void break_connection(std::uint64_t connection, bool tell_both);
    void request_fence(std::uint32_t asker, const base::NodeIncarnation& victim);
    void withdraw_fence(std::uint32_t asker, const base::NodeIncarnation& victim);
    void announce_dead(const base::NodeIncarnation& dead);
    void tell_known_deaths(Node& node);

    bool is_full_replica(std::uint32_t index);
    // Something happens that both must survive whenever they die: perhaps they do, now or within milliseconds.
    void tempt_fate();
    void carry(std::uint32_t from, std::uint64_t connection, const blockrep::Frame& frame,
               const blockrep::Payload& payload);

  private:
    void fault();
    void cut_link();
    void trouble_disk(std::uint32_t which);
    void order_something(std::uint32_t which);
    void lose_both();
    void leave_one_alone();
    void end_double_primary();
    void end_both_without_caches();
    void run_until(base::Instant end);
    void pause(std::uint32_t which);
    void stall(std::uint32_t from);
    void settle();
    void compare();

    bool trace_;
    std::array<std::unique_ptr<Node>, 2> nodes_;
    std::uint64_t next_connection_ = 1;
    std::set<base::NodeIncarnation> dead_;
    std::map<base::NodeIncarnation, std::uint32_t> fence_requests_;
    bool calm_ = true;
    std::optional<base::Instant> both_die_at_;
    struct HeldFrame {
        std::uint64_t connection;
        blockrep::Frame frame;
        blockrep::Payload payload;
    };
    std::optional<std::uint32_t> stalled_from_;  // what it sends waits for the network
    std::vector<HeldFrame> held_frames_;
};

}  // namespace sim
