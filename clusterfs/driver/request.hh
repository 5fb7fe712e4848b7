// What all request handlers begin and end with.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/error.hh"
#include "clusterfs/core/operations/attributes.hh"
#include "clusterfs/driver/filesystem.hh"
#include "clusterfs/driver/fuse.hh"

namespace clusterfs {

// One open file or directory: what the kernel's file handle points to.
struct OpenFile {
    operations::InodeReference inode;
    std::shared_ptr<OpenInode> shared;
    bool cached = false;                    // the kernel keeps what is read through it (opened for reading only)
    std::atomic<bool> note_access = false;  // the next read brings the access time up to date
};

// The file that a request is about. Where opens reach us, what the kernel's handle says; else the inode itself: its
// bytes come through the kernel's pages, but for descriptors that made the file (`handle_of_made_file`), which keep
// none.
struct UsedFile {
    operations::InodeReference inode;
    std::shared_ptr<OpenInode> shared;
    bool cached = false;
    bool buffered = false;     // writes, too, come through the kernel's pages
    OpenFile* open = nullptr;  // none where opens do not reach us
};
constexpr std::uint64_t handle_of_made_file = 1;
UsedFile used_file(fuse_req_t request, fuse_ino_t node, const fuse_file_info* info);

// An inode's attributes and for how long the kernel may believe them.
struct KnownAttributes {
    operations::Attributes attributes;
    double validity = 0;
};

inline Filesystem& filesystem_of(fuse_req_t request) { return *static_cast<Filesystem*>(fuse_req_userdata(request)); }
inline OpenFile& open_file_of(const fuse_file_info* info) { return *reinterpret_cast<OpenFile*>(info->fh); }

struct stat stat_of(const operations::Attributes& attributes);
operations::Caller caller_of(fuse_req_t request);
// Anybody but root loses set-id bits with what is written (the kernel leaves that to us: FUSE_CAP_HANDLE_KILLPRIV).
inline bool clears_set_ids(fuse_req_t request) { return fuse_req_ctx(request)->uid != 0; }

void reply_error(fuse_req_t request, const base::Error& error);
// For handlers whose whole answer is the outcome.
void reply_outcome(fuse_req_t request, const base::Result<void>& outcome);
void reply_attributes(fuse_req_t request, const base::Result<KnownAttributes>& known);

fuse_entry_param entry_of(Filesystem& filesystem, const KnownAttributes& known, double entry_validity);
// Of an inode that the operation has handed out; takes that back when the asker was interrupted.
void reply_entry(fuse_req_t request, const KnownAttributes& known, double entry_validity);

// The handlers, a file each.
void add_attribute_requests(fuse_lowlevel_ops& handlers);
void add_data_requests(fuse_lowlevel_ops& handlers);
void add_directory_requests(fuse_lowlevel_ops& handlers);
void add_file_requests(fuse_lowlevel_ops& handlers);
void add_lock_requests(fuse_lowlevel_ops& handlers);
void add_namespace_requests(fuse_lowlevel_ops& handlers);
void add_xattr_requests(fuse_lowlevel_ops& handlers);

}  // namespace clusterfs
