// Carries out what an operation planned to write: old bytes of partial blocks, the device, finish_write().
#pragma once

#include <functional>
#include <memory>

#include "clusterfs/core/operations/file_data.hh"
#include "clusterfs/driver/filesystem.hh"

namespace clusterfs {

// `data`: the first plan.length bytes of it are the new ones (zeros where the plan says so, then it may be empty);
// valid until `done`. The plan's pins are the caller's: to be given back after `done`, whatever came of it. After an
// error the plan has been abandoned.
void perform_write_plan(Filesystem& filesystem, operations::InodeReference inode, operations::WritePlan plan,
                        base::ByteView data, bool clear_set_ids, std::function<void(base::Result<void>)> done);

// A plan that will not be carried out because of that error, which `done` gets.
void abandon_write_plan(Filesystem& filesystem, operations::InodeReference inode, const operations::WritePlan& plan,
                        const base::Error& error, std::function<void(base::Result<void>)> done);

void unpin_all(Filesystem& filesystem, const std::vector<LockName>& pins);

}  // namespace clusterfs
