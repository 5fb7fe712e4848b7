// Carries out a plan that appends (WritePlan::appends). It is answered when the bytes are here: the file has them from
// then on, and they are on the device before anybody looks for them there (driver/appended_data).
#pragma once

#include <functional>
#include <memory>

#include "clusterfs/core/operations/file_data.hh"
#include "clusterfs/driver/filesystem.hh"
#include "clusterfs/driver/io_buffer.hh"

namespace clusterfs {

// Whether it can be carried out so.
bool is_append(const operations::WritePlan& plan);

struct AppendRequest {
    operations::InodeReference inode;
    operations::WritePlan plan;
    std::uint64_t tenure = 0;                // of the inode's lock, when the plan was made
    std::shared_ptr<const IoBuffer> buffer;  // as of IoBufferPool::copy()
    std::uint64_t skip = 0;                  // where in it the plan's bytes begin
    bool clear_set_ids = false;
};

// Only by who may write to the file now (OpenInode::enter), until `done`. The plan's pins are the caller's: to be given
// back after `done`, whatever came of it. After an error the file does not have it, and nothing is under way.
void perform_append(Filesystem& filesystem, AppendRequest request, std::function<void(base::Result<void>)> done);

}  // namespace clusterfs
