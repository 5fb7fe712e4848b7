// One inode: its fields, attributes and metadata blocks. Data blocks are claimed later (data_check), when all metadata
// has what it needs.
#pragma once

#include <optional>
#include <vector>

#include "clusterfs/core/check/context.hh"

namespace clusterfs::checking {

// Loads and checks the inode in that block, claims it and its metadata blocks, and enters it among the known inodes.
// False: there is no usable inode (its block is not claimed then). `lost`: nothing is said when there is none.
bool admit_inode(Context& context, InodeNumber number, bool lost = false);

// The entries of a known directory; problems with them are told and, where repaired, the directory is emptied and
// its entries deferred to be added again. `keep` is asked about every entry and may change its type.
struct EntryVerdict {
    bool keep = true;
    bool changed = false;
};
using JudgeEntry = std::function<EntryVerdict(CheckedEntry& entry)>;
void check_directory(Context& context, InodeNumber number, const JudgeEntry& judge);

// Claims data blocks of a known inode with extents; corrects its block count.
void check_data(Context& context, InodeNumber number);

}  // namespace clusterfs::checking
