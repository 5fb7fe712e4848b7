// The commands of debugfs.cfs: each answers with JSON, `cat` with bytes.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "clusterfs/core/whole_device.hh"

namespace debugfs_cfs {

struct Answer {
    std::string text;
    bool is_json = true;
};

struct CommandHelp {
    const char* usage;
    const char* what;
};
std::span<const CommandHelp> command_help();

// `words` is the command and its arguments.
base::Result<Answer> run_command(clusterfs::SynchronousDevice& device, const clusterfs::Superblock& superblock,
                                 const std::vector<std::string>& words);

}  // namespace debugfs_cfs
