// getattr, setattr, statfs.
#include <sys/statvfs.h>

#include <algorithm>
#include <limits>

#include "clusterfs/core/operations/statistics.hh"
#include "clusterfs/driver/file_resize.hh"
#include "clusterfs/driver/request.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs {
namespace {

using operations::AttributeChange;
using operations::Attributes;

void getattr(fuse_req_t request, fuse_ino_t node, fuse_file_info*) {
    auto& filesystem = filesystem_of(request);
    filesystem.run(
        [&filesystem, inode = filesystem.reference(node)](View& view) -> base::Result<KnownAttributes> {
            BASE_ASSIGN(const auto attributes, operations::get_attributes(view, inode));
            return KnownAttributes{attributes, filesystem.attribute_validity(attributes.inode)};
        },
        [request](const base::Result<KnownAttributes>& known) { reply_attributes(request, known); });
}

// Times are kept in nanoseconds of 64 bits: from 1677 to 2262, and what is beyond is set to that.
base::WallTime wall_time_of(const timespec& time) {
    constexpr std::int64_t second = 1'000'000'000;
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / second - 1;
    return {std::clamp(std::int64_t{time.tv_sec}, -most, most) * second + time.tv_nsec};
}

AttributeChange change_of(const struct stat& status, int fields) {
    AttributeChange change;
    if ((fields & FUSE_SET_ATTR_MODE) != 0) change.permissions = status.st_mode & 07777;
    if ((fields & FUSE_SET_ATTR_UID) != 0) change.uid = status.st_uid;
    if ((fields & FUSE_SET_ATTR_GID) != 0) change.gid = status.st_gid;
    if ((fields & FUSE_SET_ATTR_ATIME_NOW) != 0) {
        change.set_access_now = true;
    } else if ((fields & FUSE_SET_ATTR_ATIME) != 0) {
        change.accessed = wall_time_of(status.st_atim);
    }
    if ((fields & FUSE_SET_ATTR_MTIME_NOW) != 0) {
        change.set_modification_now = true;
    } else if ((fields & FUSE_SET_ATTR_MTIME) != 0) {
        change.modified = wall_time_of(status.st_mtim);
    }
    return change;
}

// The kernel takes what a SETATTR answers without asking whether it was told to forget meanwhile: never for long.
void set_attributes(fuse_req_t request, operations::InodeReference inode, const AttributeChange& change) {
    filesystem_of(request).run(
        [inode, change](View& view) -> base::Result<KnownAttributes> {
            BASE_ASSIGN(const auto attributes, operations::set_attributes(view, inode, change));
            return KnownAttributes{attributes, 0};
        },
        [request](const base::Result<KnownAttributes>& known) { reply_attributes(request, known); });
}

void setattr(fuse_req_t request, fuse_ino_t node, struct stat* status, int fields, fuse_file_info*) {
    auto& filesystem = filesystem_of(request);
    const auto inode = filesystem.reference(node);
    const auto change = change_of(*status, fields);
    if ((fields & FUSE_SET_ATTR_SIZE) == 0) return set_attributes(request, inode, change);

    const auto size = static_cast<std::uint64_t>(status->st_size);
    const bool clear = clears_set_ids(request);
    const int others = fields & ~(FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_CTIME | (1 << 9));  // 9: the lock owner's field
    resize_file(filesystem, filesystem.open_inodes().get(inode.number), inode, size, clear,
                [request, inode, change, others](const base::Result<Attributes>& attributes) {
                    if (!attributes) return reply_error(request, attributes.error());
                    if (others != 0) return set_attributes(request, inode, change);
                    reply_attributes(request, KnownAttributes{*attributes, 0});
                });
}

void statfs(fuse_req_t request, fuse_ino_t) {
    auto& filesystem = filesystem_of(request);
    filesystem.run(operations::StatisticsCount{}, [request](const base::Result<operations::Statistics>& statistics) {
        if (!statistics) return reply_error(request, statistics.error());
        struct statvfs answer {};
        answer.f_bsize = block_size;
        answer.f_frsize = block_size;
        answer.f_blocks = statistics->blocks;
        answer.f_bfree = statistics->free;
        answer.f_bavail = statistics->available;
        answer.f_files = statistics->inodes;
        answer.f_ffree = statistics->free_inodes;
        answer.f_favail = statistics->free_inodes;
        answer.f_namemax = 255;
        fuse_reply_statfs(request, &answer);
    });
}

}  // namespace

void add_attribute_requests(fuse_lowlevel_ops& handlers) {
    handlers.getattr = getattr;
    handlers.setattr = setattr;
    handlers.statfs = statfs;
}

}  // namespace clusterfs
