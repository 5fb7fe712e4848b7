// What POSIX says a filesystem is, kept in plain maps: the random test compares every outcome with it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/core/operations/rename.hh"

namespace clusterfs::test {

struct ModelInode {
    enum class Type { file, directory, symlink, fifo };
    Type type = Type::file;
    operations::InodeReference reference;
    std::uint32_t permissions = 0;
    std::uint32_t links = 1;
    std::string content;  // or target
    std::map<std::string, int> entries;
    int parent = 0;
    std::map<std::string, std::string> xattrs;
    std::vector<int> open_on;  // one node index per open
    bool is_directory() const { return type == Type::directory; }
};

class PosixModel {
  public:
    PosixModel();

    static constexpr int root = 0;
    std::map<int, ModelInode> inodes;

    // The error that the call must have; std::errc{} where it succeeds. Nothing is changed.
    std::errc create_outcome(int directory, const std::string& name) const;
    std::errc link_outcome(int inode, int directory, const std::string& name) const;
    std::errc unlink_outcome(int directory, const std::string& name) const;
    std::errc remove_directory_outcome(int directory, const std::string& name) const;
    std::errc rename_outcome(int from, const std::string& old_name, int to, const std::string& new_name,
                             operations::RenameMode mode) const;

    // The changes of calls that succeeded.
    int created(int directory, const std::string& name, ModelInode inode);
    void linked(int inode, int directory, const std::string& name);
    void unlinked(int directory, const std::string& name);
    void renamed(int from, const std::string& old_name, int to, const std::string& new_name,
                 operations::RenameMode mode);
    void closed(int inode, std::size_t which);

    // 0 (no such inode; the root has no name) or the inode of that name.
    int find(int directory, const std::string& name) const;
    bool lies_below(int inode, int ancestor) const;  // or is it

  private:
    void lose_link(int inode);
    void forget_if_unused(int inode);
    void set_parent(int inode, int directory);
    int next_ = 1;
};

}  // namespace clusterfs::test
