// A tree of files as clients see it: a model that is copied for every version, and what a device shows.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/clusterfs/device.hh"

namespace crash {

using FileId = std::uint64_t;  // of the model

struct FileState {
    std::uint32_t mode = 0;  // type and permissions
    std::string data;        // or the target of a symbolic link
    std::map<std::string, std::string> xattrs;
    bool operator==(const FileState&) const = default;
};

// Copying is cheap: the files are shared.
struct TreeState {
    std::map<std::string, FileId> names;  // paths without a leading slash; the root is ""
    std::map<FileId, std::shared_ptr<const FileState>> files;

    const FileState& at(const std::string& path) const { return *files.at(names.at(path)); }
    std::uint32_t links(FileId id) const;
};

// Bytes that were being written over the file's own, in place.
struct Overwrite {
    FileId file = 0;
    std::uint64_t offset = 0;
    std::string data;
    std::size_t version_before = 0;
    std::size_t version_after = 0;  // the newest one when it had ended
};

struct History {
    std::vector<TreeState> versions;
    std::vector<Overwrite> overwrites;
};

struct FoundFile {
    std::uint64_t inode = 0;
    std::uint32_t links = 0;
    FileState state;
};
using FoundTree = std::map<std::string, FoundFile>;

// Reads all of a filesystem that nobody has mounted and whose journals are empty. Throws sim::Violation.
FoundTree read_tree(sim::Device& device);

// The number of a version of [oldest, newest] that the tree is equal to; otherwise how it differs from each
// that has the same names.
struct Comparison {
    std::optional<std::size_t> version;
    std::string difference;
};
Comparison compare(const FoundTree& found, const History& history, std::size_t oldest, std::size_t newest);

}  // namespace crash
