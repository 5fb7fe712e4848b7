// getxattr, setxattr, listxattr, removexattr.
#include <sys/xattr.h>

#include <string>

#include "clusterfs/core/operations/extended_attributes.hh"
#include "clusterfs/driver/request.hh"

namespace clusterfs {
namespace {

// `room` 0: only the size is asked for.
void reply_bytes(fuse_req_t request, base::ByteView bytes, std::size_t room) {
    if (room == 0) {
        fuse_reply_xattr(request, bytes.size());
    } else if (bytes.size() > room) {
        fuse_reply_err(request, ERANGE);
    } else {
        fuse_reply_buf(request, reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
}

void getxattr(fuse_req_t request, fuse_ino_t node, const char* name, std::size_t room) {
    auto& filesystem = filesystem_of(request);
    filesystem.run([inode = filesystem.reference(node),
                    name = std::string(name)](View& view) { return operations::get_xattr(view, inode, name); },
                   [request, room](const base::Result<base::Bytes>& value) {
                       if (!value) return reply_error(request, value.error());
                       reply_bytes(request, *value, room);
                   });
}

void setxattr(fuse_req_t request, fuse_ino_t node, const char* name, const char* value, std::size_t size, int flags) {
    auto mode = operations::XattrMode::create_or_replace;
    if ((flags & XATTR_CREATE) != 0) mode = operations::XattrMode::create_only;
    if ((flags & XATTR_REPLACE) != 0) mode = operations::XattrMode::replace_only;
    auto& filesystem = filesystem_of(request);
    filesystem_of(request).driver().run(
        [inode = filesystem.reference(node), name = std::string(name), value = std::string(value, size),
         mode](View& view) { return operations::set_xattr(view, inode, name, base::as_bytes(value), mode); },
        [request](const base::Result<void>& outcome) { reply_outcome(request, outcome); });
}

void listxattr(fuse_req_t request, fuse_ino_t node, std::size_t room) {
    auto& filesystem = filesystem_of(request);
    filesystem.run([inode = filesystem.reference(node)](View& view) { return operations::list_xattrs(view, inode); },
                   [request, room](const base::Result<std::vector<std::string>>& names) {
                       if (!names) return reply_error(request, names.error());
                       std::string all;
                       for (const auto& name : *names) all.append(name).push_back('\0');
                       reply_bytes(request, base::as_bytes(all), room);
                   });
}

void removexattr(fuse_req_t request, fuse_ino_t node, const char* name) {
    auto& filesystem = filesystem_of(request);
    filesystem.driver().run([inode = filesystem.reference(node), name = std::string(name)](
                                View& view) { return operations::remove_xattr(view, inode, name); },
                            [request](const base::Result<void>& outcome) { reply_outcome(request, outcome); });
}

}  // namespace

void add_xattr_requests(fuse_lowlevel_ops& handlers) {
    handlers.getxattr = getxattr;
    handlers.setxattr = setxattr;
    handlers.listxattr = listxattr;
    handlers.removexattr = removexattr;
}

}  // namespace clusterfs
