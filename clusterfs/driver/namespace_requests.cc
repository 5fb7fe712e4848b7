// lookup, forget, mknod, mkdir, symlink, link, readlink, unlink, rmdir, rename. create is in file_requests.cc.
#include <linux/fs.h>

#include <optional>
#include <string>

#include "clusterfs/core/operations/names.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/core/operations/remove.hh"
#include "clusterfs/core/operations/rename.hh"
#include "clusterfs/driver/request.hh"

namespace clusterfs {
namespace {

using operations::Attributes;
using operations::Removed;

struct Found {
    bool exists = true;
    KnownAttributes known;
    double entry_validity = 0;
    bool waited = false;
};

void reply_found(fuse_req_t request, const base::Result<Found>& found) {
    if (!found) return reply_error(request, found.error());
    if (found->exists) return reply_entry(request, found->known, found->entry_validity);
    // A name that does not exist: as long as the directory's lock is held, nobody makes it.
    fuse_entry_param nothing{};
    nothing.entry_timeout = found->entry_validity;
    if (found->entry_validity > 0) {
        fuse_reply_entry(request, &nothing);
    } else {
        fuse_reply_err(request, ENOENT);
    }
}

void lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
    auto& filesystem = filesystem_of(request);
    const auto directory = filesystem.reference(parent);
    filesystem.run(
        [&filesystem, directory, name = std::string(name), runs = 0](View& view) mutable -> base::Result<Found> {
            ++runs;
            auto attributes = operations::lookup(view, directory, name);
            if (!attributes && attributes.error().code == std::errc::no_such_file_or_directory) {
                return Found{false, {}, filesystem.entry_validity(directory.number), false};
            }
            if (!attributes) return std::unexpected(attributes.error());
            filesystem.hand_out(*attributes);
            return Found{true,
                         {*attributes, filesystem.attribute_validity(attributes->inode)},
                         filesystem.entry_validity(directory.number),
                         runs > 1};
        },
        [request, directory, &filesystem](const base::Result<Found>& found) {
            reply_found(request, found);
            if (found && found->waited) filesystem.prefetch().note_wait(directory);
        });
}

void forget(fuse_req_t request, fuse_ino_t node, std::uint64_t lookups) {
    filesystem_of(request).forgotten(node, lookups);
    fuse_reply_none(request);
}

void forget_multi(fuse_req_t request, std::size_t count, fuse_forget_data* forgets) {
    auto& filesystem = filesystem_of(request);
    for (std::size_t i = 0; i < count; ++i) filesystem.forgotten(forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(request);
}

// Runs what makes a name and answers with the entry. `fresh`: the inode was made by it. Of an old one (link) the kernel
// believes what is answered without asking whether it was told to forget meanwhile: not for long.
template <typename Make>
void make_entry(fuse_req_t request, fuse_ino_t parent, bool fresh, Make make) {
    auto& filesystem = filesystem_of(request);
    filesystem.run(
        [&filesystem, directory = filesystem.reference(parent), fresh, make](View& view) -> base::Result<Found> {
            BASE_ASSIGN(const auto attributes, make(view, directory));
            filesystem.hand_out(attributes);
            return Found{true,
                         {attributes, fresh ? filesystem.attribute_validity(attributes.inode) : 0},
                         filesystem.entry_validity(directory.number),
                         false};
        },
        [request](const base::Result<Found>& found) { reply_found(request, found); });
}

void mknod(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t device) {
    make_entry(request, parent, true,
               [name = std::string(name), what = operations::NewFile{mode, device, caller_of(request)}](
                   View& view, operations::InodeReference directory) {
                   return operations::create(view, directory, name, what);
               });
}

void mkdir(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
    mknod(request, parent, name, S_IFDIR | (mode & 07777), 0);
}

void symlink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) {
    make_entry(request, parent, true,
               [target = std::string(target), name = std::string(name), caller = caller_of(request)](
                   View& view, operations::InodeReference directory) {
                   return operations::symlink(view, directory, name, target, caller);
               });
}

void link(fuse_req_t request, fuse_ino_t node, fuse_ino_t parent, const char* name) {
    const auto inode = filesystem_of(request).reference(node);
    make_entry(request, parent, false,
               [inode, name = std::string(name)](View& view, operations::InodeReference directory) {
                   return operations::link(view, inode, directory, name);
               });
}

void readlink(fuse_req_t request, fuse_ino_t node) {
    auto& filesystem = filesystem_of(request);
    filesystem.run([inode = filesystem.reference(node)](View& view) { return operations::read_link(view, inode); },
                   [request](const base::Result<std::string>& target) {
                       if (!target) return reply_error(request, target.error());
                       fuse_reply_readlink(request, target->c_str());
                   });
}

void finish_removal(fuse_req_t request, const base::Result<Removed>& removed) {
    if (!removed) return reply_error(request, removed.error());
    if (!removed->orphaned) {
        fuse_reply_err(request, 0);
        return;
    }
    filesystem_of(request).deletions().start(removed->inode, [request] { fuse_reply_err(request, 0); });
}

// Without opens, the kernel may have the file of that name open, which may be about to lose it.
template <typename Then>
void keep_victim(Filesystem& filesystem, operations::InodeReference directory, const std::string& name, Then then) {
    using Victim = std::optional<operations::InodeReference>;
    if (!filesystem.options().without_opens) return then();
    filesystem.run(
        [&filesystem, directory, name](View& view) -> base::Result<Victim> {
            BASE_ASSIGN(const auto attributes, operations::lookup(view, directory, name));
            const bool is_last_name = S_ISREG(attributes.mode) && attributes.links == 1;
            if (!is_last_name || !filesystem.known().knows(attributes.inode)) return Victim{};
            const operations::InodeReference victim{attributes.inode, attributes.generation};
            BASE_TRY(operations::open(view, victim));
            return Victim{victim};
        },
        [&filesystem, then](const base::Result<Victim>& victim) {
            if (victim && *victim) filesystem.keep_for_kernel(**victim);
            then();
        });
}

void unlink(fuse_req_t request, fuse_ino_t parent, const char* name) {
    auto& filesystem = filesystem_of(request);
    const auto directory = filesystem.reference(parent);
    keep_victim(filesystem, directory, name, [request, &filesystem, directory, name = std::string(name)] {
        filesystem.run([directory, name](View& view) { return operations::unlink(view, directory, name); },
                       [request](const base::Result<Removed>& removed) { finish_removal(request, removed); });
    });
}

void rmdir(fuse_req_t request, fuse_ino_t parent, const char* name) {
    auto& filesystem = filesystem_of(request);
    filesystem.run([directory = filesystem.reference(parent), name = std::string(name)](
                       View& view) { return operations::remove_directory(view, directory, name); },
                   [request](const base::Result<Removed>& removed) { finish_removal(request, removed); });
}

void rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent, const char* new_name,
            unsigned flags) {
    if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE) {
        fuse_reply_err(request, EINVAL);
        return;
    }
    auto mode = operations::RenameMode::replace;
    if (flags == RENAME_NOREPLACE) mode = operations::RenameMode::no_replace;
    if (flags == RENAME_EXCHANGE) mode = operations::RenameMode::exchange;
    auto& filesystem = filesystem_of(request);
    const auto from = filesystem.reference(parent);
    const auto to = filesystem.reference(new_parent);
    auto run = [request, &filesystem, from, name = std::string(name), to, new_name = std::string(new_name), mode] {
        filesystem.run([=](View& view) { return operations::rename(view, from, name, to, new_name, mode); },
                       [request](const base::Result<Removed>& removed) { finish_removal(request, removed); });
    };
    if (mode != operations::RenameMode::replace) return run();
    keep_victim(filesystem, to, new_name, run);
}

}  // namespace

void add_namespace_requests(fuse_lowlevel_ops& handlers) {
    handlers.lookup = lookup;
    handlers.forget = forget;
    handlers.forget_multi = forget_multi;
    handlers.mknod = mknod;
    handlers.mkdir = mkdir;
    handlers.symlink = symlink;
    handlers.link = link;
    handlers.readlink = readlink;
    handlers.unlink = unlink;
    handlers.rmdir = rmdir;
    handlers.rename = rename;
}

}  // namespace clusterfs
