// Everything that can be wrong with a filesystem of this format. Numbers are permanent: a problem that can no longer
// occur leaves a gap.
#pragma once

#include <cstdint>
#include <span>

namespace clusterfs::checking {

enum class Problem : std::uint16_t {
    superblock_damaged = 101,
    backup_differs = 102,
    layout_change_interrupted = 103,
    check_requested = 104,
    unknown_features = 105,
    slot_map_damaged = 201,
    slot_left_mounted = 202,
    journal_header_damaged = 203,
    journal_not_replayed = 204,
    orphan_directory_damaged = 207,
    root_damaged = 301,
    inode_checksum = 302,
    inode_damaged = 303,
    inline_xattrs_damaged = 306,
    xattr_block_damaged = 307,
    inode_block_count = 308,
    extent_tree_damaged = 309,
    block_shared = 310,
    metadata_shared = 311,
    bad_symlink = 312,
    orphan_flag = 313,
    extent_over_fixed = 314,
    generation_missing = 315,
    directory_damaged = 401,
    entry_number = 402,
    entry_without_inode = 403,
    entry_type = 404,
    entry_cookie = 405,
    entry_twice = 406,
    entry_count = 407,
    parent_wrong = 408,
    directory_linked_twice = 409,
    entry_of_system_inode = 411,
    link_count = 501,
    unreachable_inode = 502,
    deleted_file_left = 504,
    orphan_has_names = 505,
    orphan_directory_not_empty = 506,
    map_damaged = 601,
    used_marked_free = 602,
    free_marked_used = 603,
    map_counts = 604,
};

enum class Severity {
    note,     // part of normal life after a crash: does not make the filesystem damaged
    safe,     // repaired without loss: preen (-p) does it unasked
    loss,     // the repair gives up something: asked for, or -y
    hopeless  // cannot be repaired by this version
};

struct ProblemRow {
    Problem problem;
    Severity severity;
    const char* message;
    const char* repair;
};

std::span<const ProblemRow> problem_table();
const ProblemRow& row_of(Problem problem);

}  // namespace clusterfs::checking
