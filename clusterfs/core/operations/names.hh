// lookup, create, mknod, mkdir, symlink, link, readlink.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hh"
#include "clusterfs/core/operations/attributes.hh"
#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/core/view.hh"
#include "clusterfs/format/inode.hh"

namespace clusterfs::operations {

inline constexpr std::size_t max_target_length = inode_payload_size;  // of a symbolic link
inline constexpr std::uint32_t max_links = 65000;                     // of a file; subdirectories are not limited

// The inode of that name and its attributes; ENOENT. "." and ".." work.
base::Result<Attributes> lookup(View& view, InodeReference directory, std::string_view name);

struct NewFile {
    std::uint32_t mode = 0;    // type and permissions before the umask
    std::uint64_t device = 0;  // of device nodes
    Caller caller;
};

// mknod (regular files, device nodes, pipes, sockets) and mkdir. EEXIST, ENOSPC.
base::Result<Attributes> create(View& view, InodeReference directory, std::string_view name, const NewFile& what);
base::Result<Attributes> symlink(View& view, InodeReference directory, std::string_view name, std::string_view target,
                                 const Caller& caller);
// open(O_CREAT): what is there is opened unless `exclusive` (then EEXIST). `opened`: open_lock() was pinned, as by
// open() (open.hh). An existing directory is EISDIR; any other type but regular is returned and not opened.
struct CreateAndOpen {
    Attributes attributes;
    bool created = false;
    bool opened = false;
};
base::Result<CreateAndOpen> create_and_open(View& view, InodeReference directory, std::string_view name,
                                            const NewFile& what, bool exclusive);
// An inode without a name, open (O_TMPFILE): on the orphan list until link() names it.
base::Result<Attributes> create_temporary(View& view, InodeReference directory, const NewFile& what);

base::Result<Attributes> link(View& view, InodeReference inode, InodeReference directory, std::string_view name);
base::Result<std::string> read_link(View& view, InodeReference inode);

}  // namespace clusterfs::operations
