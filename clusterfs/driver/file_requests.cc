// open, create, release, flush, fsync.
#include <fcntl.h>

#include <string>

#include "base/io/clock.hh"
#include "clusterfs/core/operations/names.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/driver/file_resize.hh"
#include "clusterfs/driver/request.hh"

namespace clusterfs {
namespace {

using operations::Attributes;

bool writes(const fuse_file_info& info) { return (info.flags & O_ACCMODE) != O_RDONLY; }

// What is written reaches us as it was written, so the kernel never has dirty pages and appends are placed by us. What
// is only read stays in the kernel until the inode's lock is asked for.
std::unique_ptr<OpenFile> make_open_file(Filesystem& filesystem, const Attributes& attributes, fuse_file_info& info) {
    auto file = std::make_unique<OpenFile>();
    file->inode = {attributes.inode, attributes.generation};
    file->shared = filesystem.open_inodes().get(attributes.inode);
    file->cached = !writes(info) && filesystem.options().kernel_caching;
    file->note_access = (info.flags & O_NOATIME) == 0 && (info.flags & O_ACCMODE) != O_WRONLY &&
                        operations::access_time_due(attributes, filesystem.options().access_time, base::wall_now());
    info.direct_io = file->cached ? 0 : 1;
    info.keep_cache = file->cached ? 1 : 0;
    info.fh = reinterpret_cast<std::uint64_t>(file.get());
    return file;
}

void finish_open(fuse_req_t request, std::unique_ptr<OpenFile> file, const fuse_file_info& info) {
    auto& filesystem = filesystem_of(request);
    if (fuse_reply_open(request, &info) == 0) {
        static_cast<void>(file.release());
    } else {
        filesystem.close(file->inode);
    }
}

// O_TRUNC arrives with the open: done before it is answered.
template <typename Finish>
void truncate_opened(Filesystem& filesystem, std::unique_ptr<OpenFile> file, bool clear_set_ids, Finish finish) {
    auto shared = file->shared;
    const auto inode = file->inode;
    resize_file(filesystem, shared, inode, 0, clear_set_ids,
                [held = std::make_shared<std::unique_ptr<OpenFile>>(std::move(file)), finish = std::move(finish)](
                    const base::Result<Attributes>& attributes) mutable { finish(std::move(*held), attributes); });
}

void open(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
    auto& filesystem = filesystem_of(request);
    // The kernel does not ask again (and truncates by setattr).
    if (filesystem.options().without_opens) {
        fuse_reply_err(request, ENOSYS);
        return;
    }
    filesystem.run([inode = filesystem.reference(node)](View& view) { return operations::open(view, inode); },
                   [request, info = *info](const base::Result<Attributes>& attributes) mutable {
                       if (!attributes) return reply_error(request, attributes.error());
                       auto& owner = filesystem_of(request);
                       auto file = make_open_file(owner, *attributes, info);
                       if ((info.flags & O_TRUNC) == 0) return finish_open(request, std::move(file), info);
                       truncate_opened(
                           owner, std::move(file), clears_set_ids(request),
                           [request, info](std::unique_ptr<OpenFile> opened, const base::Result<Attributes>& cut) {
                               if (cut) return finish_open(request, std::move(opened), info);
                               filesystem_of(request).close(opened->inode);
                               reply_error(request, cut.error());
                           });
                   });
}

struct Created {
    operations::CreateAndOpen outcome;
    double attribute_validity = 0;
    double entry_validity = 0;
};

void finish_create(fuse_req_t request, std::unique_ptr<OpenFile> file, const fuse_file_info& info,
                   const Created& created) {
    auto& filesystem = filesystem_of(request);
    const auto entry =
        entry_of(filesystem, {created.outcome.attributes, created.attribute_validity}, created.entry_validity);
    if (!created.outcome.created) filesystem.hand_out(created.outcome.attributes);
    if (fuse_reply_create(request, &entry, &info) == 0) {
        static_cast<void>(file.release());
        return;
    }
    filesystem.take_back(created.outcome.attributes);
    filesystem.close(file->inode);
}

// No release will follow.
void finish_create_without_open(fuse_req_t request, fuse_file_info info, const Created& created) {
    auto& filesystem = filesystem_of(request);
    const auto& attributes = created.outcome.attributes;
    info.fh = handle_of_made_file;
    info.direct_io = 1;
    info.keep_cache = 0;
    const auto entry = entry_of(filesystem, {attributes, created.attribute_validity}, created.entry_validity);
    if (!created.outcome.created) filesystem.hand_out(attributes);
    if (fuse_reply_create(request, &entry, &info) != 0) filesystem.take_back(attributes);
    filesystem.close({attributes.inode, attributes.generation});
}

void on_created(fuse_req_t request, fuse_file_info info, Created created) {
    auto& filesystem = filesystem_of(request);
    // Somebody else made something of that name that is not a regular file: the kernel looks it up and opens it itself.
    if (!created.outcome.opened) {
        fuse_reply_err(request, ESTALE);
        return;
    }
    if (filesystem.options().without_opens) return finish_create_without_open(request, info, created);
    auto file = make_open_file(filesystem, created.outcome.attributes, info);
    if (created.outcome.created || (info.flags & O_TRUNC) == 0) {
        return finish_create(request, std::move(file), info, created);
    }
    truncate_opened(
        filesystem, std::move(file), clears_set_ids(request),
        [request, info, created](std::unique_ptr<OpenFile> opened, const base::Result<Attributes>& cut) mutable {
            if (!cut) {
                filesystem_of(request).close(opened->inode);
                return reply_error(request, cut.error());
            }
            created.outcome.attributes = *cut;
            finish_create(request, std::move(opened), info, created);
        });
}

void create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* info) {
    auto& filesystem = filesystem_of(request);
    const operations::NewFile what{S_IFREG | (mode & 07777), 0, caller_of(request)};
    filesystem.run(
        [&filesystem, directory = filesystem.reference(parent), name = std::string(name), what,
         exclusive = (info->flags & O_EXCL) != 0](View& view) -> base::Result<Created> {
            Created created;
            BASE_ASSIGN(created.outcome, operations::create_and_open(view, directory, name, what, exclusive));
            // The kernel takes the attributes of an old inode without asking whether it was told to forget meanwhile.
            if (created.outcome.created) {
                filesystem.hand_out(created.outcome.attributes);
                created.attribute_validity = filesystem.attribute_validity(created.outcome.attributes.inode);
            }
            created.entry_validity = filesystem.entry_validity(directory.number);
            return created;
        },
        [request, info = *info](const base::Result<Created>& created) {
            if (!created) return reply_error(request, created.error());
            on_created(request, info, *created);
        });
}

// Whoever closes a file gives up its fcntl locks, even if another descriptor stays open.
void unlock_ranges(Filesystem& filesystem, const OpenFile& file, std::uint64_t owner, AdvisoryKind kind,
                   PosixLockService::Answer answer) {
    if (!filesystem.advisory().may_own(owner, kind, file.inode.number)) {
        return answer(AdvisoryOutcome::granted, std::nullopt);
    }
    AdvisoryRequest unlock;
    unlock.kind = kind;
    unlock.mode = AdvisoryMode::unlock;
    unlock.inode = file.inode.number;
    unlock.owner.id = owner;
    filesystem.advisory().request(unlock, std::move(answer));
}

void flush(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
    if (filesystem_of(request).options().without_opens) {  // its locks are the kernel's own
        fuse_reply_err(request, ENOSYS);
        return;
    }
    unlock_ranges(filesystem_of(request), open_file_of(info), info->lock_owner, AdvisoryKind::range,
                  [request](AdvisoryOutcome, const std::optional<AdvisoryLock>&) { fuse_reply_err(request, 0); });
}

void release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
    auto& filesystem = filesystem_of(request);
    if (filesystem.options().without_opens) {  // of a file made before the kernel learned that by an open
        fuse_reply_err(request, 0);
        return;
    }
    const std::unique_ptr<OpenFile> file(&open_file_of(info));
    if (info->flock_release != 0) {
        unlock_ranges(filesystem, *file, info->lock_owner, AdvisoryKind::flock,
                      [](AdvisoryOutcome, const std::optional<AdvisoryLock>&) {});
    }
    filesystem.close(file->inode);
    fuse_reply_err(request, 0);
}

void fsync(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
    filesystem_of(request).driver().commit(
        [request](const base::Result<void>& outcome) { reply_outcome(request, outcome); });
}

}  // namespace

void add_file_requests(fuse_lowlevel_ops& handlers) {
    handlers.open = open;
    handlers.create = create;
    handlers.flush = flush;
    handlers.release = release;
    handlers.fsync = fsync;
}

}  // namespace clusterfs
