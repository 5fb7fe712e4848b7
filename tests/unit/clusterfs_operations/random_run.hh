// Random operations on two nodes, each outcome compared with the model.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "clusterfs/core/operations/open.hh"
#include "tests/unit/clusterfs_operations/memory_cluster.hh"
#include "tests/unit/clusterfs_operations/posix_model.hh"

namespace clusterfs::test {

class RandomRun {
  public:
    struct Options {
        std::uint64_t blocks = 40000;
        int names = 25;                 // how many different ones are used in a directory
        std::uint64_t largest = 60000;  // offsets and lengths of file operations
        bool may_fill = false;          // ENOSPC is expected now and then
    };
    RandomRun(std::uint64_t seed, Options options);

    void step();
    // Everything that the model has is there on both nodes, and nothing else.
    void compare_all();
    // Closes and removes everything; all space must be free again.
    void remove_all();

    MemoryCluster& cluster() { return cluster_; }

  private:
    std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : random_() % n; }
    bool one_in(std::uint64_t n) { return below(n) == 0; }
    MemoryNode& node() { return cluster_[below(2)]; }
    int any_inode();
    int any_of(ModelInode::Type type);
    std::string any_name();
    std::string any_data(std::uint64_t length);

    // Compares; true when the call succeeded (and had to). ENOSPC is let pass where the run may fill the device.
    bool agrees(const char* what, std::errc expected, const base::Error* error, bool never_full = false);

    void make();
    void make_link();
    void remove();
    void move();
    void look_up();
    void list_directory();
    void open_one();
    void close_one();
    void close(int inode, std::size_t which);
    void write();
    void read();
    void truncate();
    void allocate();
    void punch();
    void seek_data();
    void change_attributes();
    void change_xattrs();
    void read_xattrs();
    void stat_stale();

    void compare(int inode);
    void compare_file(int inode, MemoryNode& on);
    void finish_deletion(MemoryNode& on, operations::InodeReference inode, operations::Deletion expected);
    void removed(MemoryNode& on, const base::Result<operations::Removed>& result, int victim);

    std::mt19937_64 random_;
    Options options_;
    MemoryCluster cluster_;
    PosixModel model_;
    std::uint64_t free_at_start_ = 0;
    std::vector<operations::InodeReference> stale_;
};

}  // namespace clusterfs::test
