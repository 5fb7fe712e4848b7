// Every structure of the format as JSON. Nothing is believed: what is damaged is shown as far as it can be, with what
// is wrong.
#pragma once

#include "base/json_writer.hh"
#include "clusterfs/core/block.hh"
#include "clusterfs/core/whole_device.hh"
#include "clusterfs/format/allocation_group.hh"
#include "clusterfs/format/directory_entry.hh"
#include "clusterfs/format/inode.hh"
#include "clusterfs/format/journal.hh"
#include "clusterfs/format/slot_map.hh"
#include "clusterfs/format/superblock.hh"
#include "clusterfs/format/tree_node.hh"
#include "clusterfs/format/xattr.hh"

namespace debugfs_cfs {

using clusterfs::Superblock;

// Members of an object that is open.
void describe(base::JsonWriter& out, const Superblock& superblock);
void describe(base::JsonWriter& out, const clusterfs::SlotMap& map, std::uint32_t slots);
void describe(base::JsonWriter& out, const clusterfs::AllocationMap& map, bool with_runs);
void describe(base::JsonWriter& out, const clusterfs::Inode& inode, std::uint64_t device_blocks);
void describe(base::JsonWriter& out, const clusterfs::TreeNode& node);
void describe(base::JsonWriter& out, const clusterfs::DirectoryLeaf& leaf);
void describe(base::JsonWriter& out, const clusterfs::XattrBlock& block);
void describe(base::JsonWriter& out, const clusterfs::JournalHeader& header);
void describe(base::JsonWriter& out, const clusterfs::JournalDescriptor& descriptor);

// Header, what is wrong with the block, and the structure that its magic names.
void describe_block(base::JsonWriter& out, const clusterfs::Block& block, clusterfs::BlockNumber number,
                    const Superblock& superblock);

std::string time_text(std::int64_t nanoseconds);
const char* type_text(std::uint32_t mode);

}  // namespace debugfs_cfs
