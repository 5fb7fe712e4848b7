// read, write, fallocate, lseek.
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <cstring>

#include "clusterfs/driver/file_read.hh"
#include "clusterfs/driver/file_resize.hh"
#include "clusterfs/driver/file_write.hh"
#include "clusterfs/driver/request.hh"

namespace clusterfs {
namespace {

// Nobody waits for an access time.
void note_access(Filesystem& filesystem, OpenFile& file) {
    if (!file.note_access.load(std::memory_order_relaxed) || !file.note_access.exchange(false)) return;
    filesystem.driver().run([inode = file.inode, policy = filesystem.options().access_time](
                                View& view) { return operations::note_access(view, inode, policy); },
                            [](const base::Result<void>&) {});
}

void read(fuse_req_t request, fuse_ino_t node, std::size_t length, off_t offset, fuse_file_info* info) {
    auto& filesystem = filesystem_of(request);
    const auto file = used_file(request, node, info);
    if (file.open != nullptr) note_access(filesystem, *file.open);
    read_file(filesystem, file.shared, file.inode, static_cast<std::uint64_t>(offset), length, file.cached,
              [request](const base::Result<base::ByteView>& bytes) {
                  if (!bytes) return reply_error(request, bytes.error());
                  fuse_reply_buf(request, reinterpret_cast<const char*>(bytes->data()), bytes->size());
              });
}

void write(fuse_req_t request, fuse_ino_t node, const char* bytes, std::size_t length, off_t offset,
           fuse_file_info* info) {
    auto& filesystem = filesystem_of(request);
    const auto file = used_file(request, node, info);
    if (length == 0) {
        fuse_reply_write(request, 0);
        return;
    }
    FileWriteRequest write;
    write.shared = file.shared;
    write.inode = file.inode;
    write.offset = static_cast<std::uint64_t>(offset);
    write.buffered = file.buffered;
    // O_APPEND can be set after the open; the flags of the request are those of now.
    write.append = (info->flags & O_APPEND) != 0 && info->writepage == 0;
    write.clear_set_ids = clears_set_ids(request);
    write.stable = (info->flags & (O_SYNC | O_DSYNC)) != 0;
    write.data = filesystem.driver().buffers().copy({reinterpret_cast<const std::byte*>(bytes), length});
    write_file(filesystem, std::move(write), [request](const base::Result<std::uint64_t>& written) {
        if (!written) return reply_error(request, written.error());
        fuse_reply_write(request, *written);
    });
}

void fallocate(fuse_req_t request, fuse_ino_t node, int mode, off_t offset, off_t length, fuse_file_info* info) {
    auto& filesystem = filesystem_of(request);
    const auto file = used_file(request, node, info);
    const auto from = static_cast<std::uint64_t>(offset);
    const auto count = static_cast<std::uint64_t>(length);
    auto done = [request](const base::Result<operations::Attributes>& attributes) {
        if (!attributes) return reply_error(request, attributes.error());
        fuse_reply_err(request, 0);
    };
    if (mode == 0 || mode == FALLOC_FL_KEEP_SIZE) {
        const auto how = mode == 0 ? operations::Preallocation::change_size : operations::Preallocation::keep_size;
        preallocate_file(filesystem, file.shared, file.inode, from, count, how, std::move(done));
    } else if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
        punch_hole_in_file(filesystem, file.shared, file.inode, from, count, std::move(done));
    } else {
        fuse_reply_err(request, EOPNOTSUPP);
    }
}

void lseek(fuse_req_t request, fuse_ino_t node, off_t offset, int whence, fuse_file_info* info) {
    if (whence != SEEK_DATA && whence != SEEK_HOLE) {
        fuse_reply_err(request, EINVAL);
        return;
    }
    filesystem_of(request).run([inode = used_file(request, node, info).inode, from = static_cast<std::uint64_t>(offset),
                                what = whence == SEEK_DATA ? operations::SeekFor::data : operations::SeekFor::hole](
                                   View& view) { return operations::seek(view, inode, from, what); },
                               [request](const base::Result<std::uint64_t>& found) {
                                   if (!found) return reply_error(request, found.error());
                                   fuse_reply_lseek(request, static_cast<off_t>(*found));
                               });
}

}  // namespace

void add_data_requests(fuse_lowlevel_ops& handlers) {
    handlers.read = read;
    handlers.write = write;
    handlers.fallocate = fallocate;
    handlers.lseek = lseek;
}

}  // namespace clusterfs
