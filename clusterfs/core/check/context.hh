// What the passes of a check share: the device, what was decided, which blocks belong to something, and what is known
// of every inode.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "clusterfs/core/check/check_filesystem.hh"
#include "clusterfs/format/block_seal.hh"
#include "clusterfs/format/extent.hh"
#include "clusterfs/format/inode.hh"

namespace clusterfs::checking {

struct KnownInode {
    std::uint32_t mode = 0;
    std::uint32_t links_stored = 0;
    std::uint32_t names_found = 0;     // entries that lead to it; of a directory at most one
    std::uint32_t directories_in = 0;  // of a directory: how many of its entries are directories
    std::uint32_t flags = 0;
    InodeNumber parent_stored = 0;
    InodeNumber parent_found = 0;   // of a directory
    std::int32_t orphan_slot = -1;  // whose orphan directory lists it
    bool data_claimed = false;
    bool is_stand_in = false;  // of a damaged directory that was not to be repaired: nothing on disk is believed

    bool is_directory() const { return type_of_mode(mode) == mode_directory; }
};

struct CheckedEntry {
    std::string name;
    InodeNumber inode = 0;
    std::uint64_t cookie = 0;
    std::uint8_t type = 0;
};

// Repairs that allocate: done after the allocation maps are right.
struct Deferred {
    struct Tree {
        InodeNumber inode = 0;
        std::vector<TreeRecord> extents;
    };
    struct Directory {
        InodeNumber inode = 0;
        std::vector<CheckedEntry> entries;
    };
    struct Clone {
        InodeNumber inode = 0;
        TreeRecord extent;  // in the file, over blocks of another
    };
    std::vector<Tree> trees;
    std::vector<Directory> directories;
    std::vector<Clone> clones;
    std::vector<InodeNumber> lost;
    std::vector<InodeNumber> deletions;  // of orphans
};

// A block as it was found.
struct Loaded {
    std::shared_ptr<Block> block;  // null: could not be read
    BlockFault fault = BlockFault::unknown_type;
    bool sound() const { return block != nullptr && fault == BlockFault::none; }
};

class Context {
  public:
    Context(SynchronousDevice& device, const Superblock& superblock, const CheckOptions& options);

    // Tells of a problem; true: repair it (in memory; flush() of the whole device makes it real).
    bool found(Problem problem, const std::string& detail);
    Loaded load(BlockNumber number);
    // A private copy to change and put() back.
    static std::shared_ptr<Block> copy(const Loaded& loaded) { return std::make_shared<Block>(*loaded.block); }
    void put(std::shared_ptr<Block> block) { whole_.put(std::move(block)); }
    BlockHeader header_for(BlockType type, BlockNumber number, InodeNumber owner) const;

    // The caller may have the block: it is in the filesystem and nothing else has it.
    bool claim(BlockNumber number);
    void unclaim(BlockNumber number) { claimed_[number] = false; }
    bool is_claimed(BlockNumber number) const { return claimed_[number]; }
    // Blocks that no inode may have: fixed structures and journals.
    bool is_systems(BlockNumber number) const;

    WholeDevice& whole() { return whole_; }
    const Superblock& superblock() const { return whole_.superblock(); }
    const CheckOptions& options() const { return options_; }
    CheckReport& report() { return report_; }
    std::map<InodeNumber, KnownInode>& inodes() { return inodes_; }
    Deferred& deferred() { return deferred_; }
    // A journal is left as it was found: it may hold records.
    void journal_left() { all_journals_empty_ = false; }
    bool all_journals_empty() const { return all_journals_empty_; }
    void enter(const char* pass) const {
        if (options_.entering) options_.entering(pass);
    }

  private:
    void claim_systems();

    CheckOptions options_;
    WholeDevice whole_;
    CheckReport report_;
    std::vector<bool> claimed_;
    std::map<InodeNumber, KnownInode> inodes_;
    Deferred deferred_;
    bool all_journals_empty_ = true;
};

// The passes, in this order.
base::Result<Superblock> check_superblocks(SynchronousDevice& device, const CheckOptions& options, CheckReport& report);
base::Result<void> check_slots_and_journals(Context& context);
base::Result<void> check_namespace(Context& context);
base::Result<void> check_links(Context& context);
base::Result<void> check_maps(Context& context);
void repair_deferred(Context& context);

bool tell(const CheckOptions& options, CheckReport& report, Problem problem, const std::string& detail);

}  // namespace clusterfs::checking
