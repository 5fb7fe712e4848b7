// What clients do, and what must come of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "clusterfs/core/mount.hh"
#include "tests/sim/clusterfs/device.hh"
#include "tests/sim/common/random.hh"
#include "tests/sim/common/run_seeds.hh"

namespace sim {

class Node;

// What a request of several operations may use.
struct TaskContext {
    Node& node;
    std::function<void(clusterfs::InodeNumber)> changed;  // no other kernel may have kept anything of it
    std::function<void()> finished;
};

// One operation of a client. `run` may be called many times; `done` once, at the instant when the change is applied:
// the order of these calls, over all nodes, is the order in which everybody must have seen them.
struct ClientOperation {
    std::string text;
    std::function<void(TaskContext)> task;  // instead of all that follows
    clusterfs::Mount::Operation run;
    std::function<void(const base::Result<void>&)> done;
    // Called after `done`; what it returns is run too, until it returns none. May be empty.
    std::function<clusterfs::Mount::Operation()> follow_up;
    std::vector<clusterfs::InodeNumber> read;                      // of which the kernel may keep something afterwards
    std::function<std::vector<clusterfs::InodeNumber>()> changed;  // of which no other kernel may have kept anything
};

class Workload {
  public:
    virtual ~Workload() = default;
    // On a fresh filesystem that nobody has mounted.
    virtual void prepare(Device& device) = 0;
    // Changes are numbered as they happen, over all nodes; each leaves its number in its node's marker.
    virtual ClientOperation next(int node, Random& random) = 0;
    // The number of the last operation of that node that changed something.
    virtual std::uint64_t last_change(int node) const = 0;
    // The number of the last operation of that node that is on the device.
    virtual std::uint64_t marker(const Device& device, int node) const = 0;
    // That node died and its operations after `kept` have not happened. Those after `whole` may have happened without
    // the bytes that they put in the place of others.
    virtual void undo(int node, std::uint64_t kept, std::uint64_t whole) = 0;
    // At any moment when nobody writes, mounted or dead: what a replay would make of the device is sound.
    virtual void check_structure(Device&) {}
    // Nobody has it mounted: the device must say what the model says.
    virtual void check(Device& device) = 0;
    // Some of what is in use.
    virtual std::vector<clusterfs::InodeNumber> inodes() const = 0;
    // The disk was damaged: from now on operations may be refused with such an error, and only with such.
    void expect_refusals() { refusals_ = true; }
    bool is_refused(const base::Error& error) const;

  private:
    bool refusals_ = false;
};

std::unique_ptr<Workload> make_bank();
std::unique_ptr<Workload> make_tree();

}  // namespace sim
