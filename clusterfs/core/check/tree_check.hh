// Collects what is whole of an inode's tree.
#pragma once

#include <vector>

#include "clusterfs/core/check/context.hh"

namespace clusterfs::checking {

struct CollectedTree {
    std::vector<TreeRecord> records;  // of the leaves, in order
    std::vector<BlockNumber> nodes;   // claimed
    bool damaged = false;
    std::string how;  // the first damage
};

// Claims the nodes. The inode's own fields were checked.
CollectedTree collect_tree(Context& context, const Inode& inode);

}  // namespace clusterfs::checking
