#include "clusterfs/core/check/problem.hh"

#include "base/ensure.hh"

namespace clusterfs::checking {
namespace {

using enum Problem;
using enum Severity;

constexpr ProblemRow table[] = {
    {superblock_damaged, safe, "the superblock is damaged", "restored from a backup"},
    {backup_differs, safe, "a backup superblock is damaged or out of date", "written anew"},
    {layout_change_interrupted, safe, "a change of the layout was interrupted", "mark removed after this check"},
    {check_requested, note, "a mounted node met damage and asked for this check", "mark removed after this check"},
    {unknown_features, hopeless, "the filesystem uses features that this version does not know", "none"},
    {slot_map_damaged, safe, "the slot map is damaged", "written anew, all slots free"},
    {slot_left_mounted, note, "a slot is taken by a node that does not have it mounted any more", "freed"},
    {journal_header_damaged, loss, "a journal header is damaged; what was in the journal is lost", "emptied"},
    {journal_not_replayed, note, "a journal holds changes that are not in place", "replayed"},
    {orphan_directory_damaged, safe, "an orphan directory is damaged", "made anew, empty"},
    {root_damaged, loss, "the root directory is damaged", "made anew, empty"},
    {inode_checksum, safe, "an inode's checksum is wrong, its fields are sound", "checksum written anew"},
    {inode_damaged, loss, "an inode is damaged", "given up, with the entry that led to it"},
    {inline_xattrs_damaged, loss, "inline extended attributes are damaged", "the whole ones kept"},
    {xattr_block_damaged, loss, "a block of extended attributes is damaged", "given up"},
    {inode_block_count, safe, "an inode counts its blocks wrongly", "corrected"},
    {extent_tree_damaged, loss, "a tree of extents is damaged", "built anew from its whole parts"},
    {block_shared, safe, "data blocks belong to two files", "copied for the second"},
    {metadata_shared, loss, "a metadata block belongs to two owners", "taken from the second"},
    {bad_symlink, loss, "a symbolic link has no valid target", "given up"},
    {orphan_flag, safe, "an inode's orphan mark does not fit the orphan directories", "corrected"},
    {extent_over_fixed, loss, "an extent covers blocks of the filesystem itself", "cut out of the file"},
    {generation_missing, safe, "an inode has no generation", "given one"},
    {directory_damaged, loss, "a directory is damaged", "built anew from its whole parts"},
    {entry_number, loss, "an entry's inode number is impossible", "removed"},
    {entry_without_inode, loss, "an entry leads to no inode", "removed"},
    {entry_type, safe, "an entry has the wrong file type", "corrected"},
    {entry_cookie, safe, "an entry does not lie where its name belongs", "directory built anew"},
    {entry_twice, loss, "a directory has a name twice", "the second removed"},
    {entry_count, safe, "a directory counts its entries wrongly", "corrected"},
    {parent_wrong, safe, "a directory names another directory as its parent", "corrected"},
    {directory_linked_twice, loss, "a directory has a second name", "the second removed"},
    {entry_of_system_inode, loss, "an entry leads to an inode of the filesystem itself", "removed"},
    {link_count, safe, "an inode counts its names wrongly", "corrected"},
    {unreachable_inode, safe, "an inode has no name", "put into /lost+found"},
    {deleted_file_left, note, "a deleted file was still open when its node went away", "deletion finished"},
    {orphan_has_names, safe, "an orphan directory lists an inode that has names", "taken off the list"},
    {orphan_directory_not_empty, safe, "a deleted directory has entries", "they are put into /lost+found"},
    {map_damaged, safe, "an allocation map is damaged", "written anew"},
    {used_marked_free, safe, "blocks in use are marked free", "marked used"},
    {free_marked_used, safe, "blocks that nothing uses are marked used", "freed"},
    {map_counts, safe, "an allocation map counts its blocks wrongly", "corrected"},
};

}  // namespace

std::span<const ProblemRow> problem_table() { return table; }

const ProblemRow& row_of(Problem problem) {
    for (const auto& row : table) {
        if (row.problem == problem) return row;
    }
    base::ensure(false, "every problem has a row");
    return table[0];
}

}  // namespace clusterfs::checking
