// What mount(8) and people give mount.cfs: SOURCE DIR [-o option,…].
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hh"
#include "base/time.hh"
#include "clusterfs/core/operations/attributes.hh"

namespace mount_cfs {

struct Options {
    bool read_only = false;
    bool local = false;      // the source is a file or device that this node has to itself
    bool nofencing = false;  // mount although a lost node cannot be fenced: for tests
    bool kernel_caching = true;
    bool powersave = false;   // processors may sleep between requests
    bool readmostly = false;  // nothing in it is locked between the nodes: opens do not reach us
    unsigned threads = 0;
    base::Duration commit_interval = base::Duration::seconds(5);
    clusterfs::operations::AccessTimePolicy access_time = clusterfs::operations::AccessTimePolicy::relative;
    std::string log;                  // a file; empty: chosen by how it was started
    std::vector<std::string> kernel;  // passed on as they are
};

// One argument of -o. EINVAL names the option that is not known.
base::Result<void> add_options(std::string_view list, Options& options);

}  // namespace mount_cfs
