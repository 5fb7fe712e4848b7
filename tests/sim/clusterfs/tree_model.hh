// A filesystem in memory: what names, files and directories must look like after operations in a known order.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <system_error>
#include <vector>

#include "base/bytes.hh"
#include "clusterfs/core/block.hh"

namespace sim {

using clusterfs::InodeNumber;

struct ModelInode {
    bool directory = false;
    std::uint64_t generation = 0;
    std::uint32_t permissions = 0;
    std::uint32_t links = 1;
    InodeNumber parent = 0;  // of a directory
    std::map<std::string, InodeNumber> entries;
    std::string data;
};

struct TreeOperation {
    enum class Kind {
        lookup,
        list,
        look,  // attributes
        create,
        make_directory,
        unlink,
        remove_directory,
        rename,
        link,
        chmod,
        read,
        write,
        truncate,
    };
    Kind kind = Kind::lookup;
    InodeNumber directory = 0;
    std::uint64_t directory_generation = 0;
    std::string name;
    InodeNumber directory_2 = 0;
    std::uint64_t directory_2_generation = 0;
    std::string name_2;
    InodeNumber inode = 0;  // of file operations; what create made
    std::uint64_t generation = 0;
    std::uint32_t permissions = 0;
    std::uint64_t offset = 0;
    std::string data;

    bool changes() const { return kind >= Kind::create && kind != Kind::read; }
    std::string text() const;
};

class TreeModel {
  public:
    explicit TreeModel(InodeNumber root) {
        inodes_[root].directory = true;
        inodes_[root].parent = root;
    }
    // Does it if it can be done; true then. A file without links is gone.
    bool apply(const TreeOperation& operation);
    const ModelInode* find(InodeNumber inode, std::uint64_t generation) const;
    const std::map<InodeNumber, ModelInode>& inodes() const { return inodes_; }

  private:
    ModelInode* directory(InodeNumber inode, std::uint64_t generation);
    bool add(const TreeOperation& operation, bool is_directory);
    bool remove(const TreeOperation& operation, bool is_directory);
    bool rename(const TreeOperation& operation);
    bool link(const TreeOperation& operation);
    bool change_file(const TreeOperation& operation);
    void drop_link(InodeNumber inode);
    bool lies_in(InodeNumber inode, InodeNumber ancestor) const;

    std::map<InodeNumber, ModelInode> inodes_;
};

}  // namespace sim
