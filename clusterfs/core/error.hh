// clusterfs's own error codes; POSIX outcomes of operations are std::errc values and pass through unchanged.
#pragma once

#include <system_error>

namespace clusterfs {

enum class Errc {
    needed = 1,         // the view lacks a block or a lock: fetch View::needs() and run again. Never reaches a user
    corrupted,          // a block on disk is not what it must be; the detail says which and how (EUCLEAN)
    stale_inode,        // the inode was deleted or its generation differs (ESTALE)
    not_a_filesystem,   // no superblock with our magic
    newer_format,       // the superblock asks for features that this version lacks
    no_free_slot,       // as many nodes are mounted as the filesystem has slots
    journal_corrupted,  // a journal header is damaged: fsck.cfs is needed before mounting
};

const std::error_category& category();
inline std::error_code make_error_code(Errc code) { return {static_cast<int>(code), category()}; }

}  // namespace clusterfs

template <>
struct std::is_error_code_enum<clusterfs::Errc> : std::true_type {};
