// opendir, readdir, readdirplus, releasedir, fsyncdir.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "clusterfs/core/operations/open.hh"
#include "clusterfs/core/operations/read_directory.hh"
#include "clusterfs/driver/request.hh"

namespace clusterfs {
namespace {

using operations::DirectoryItem;
using operations::WithAttributes;

// Names are rarely shorter than this on average; what does not fit is read again with the next request.
constexpr std::size_t plain_entry_size = 32;
constexpr std::size_t entry_with_attributes_size = 168;

void opendir(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
    auto& filesystem = filesystem_of(request);
    const auto inode = filesystem.reference(node);
    filesystem.run([inode](View& view) { return operations::open(view, inode); },
                   [request, inode, info = *info](const base::Result<operations::Attributes>& attributes) mutable {
                       if (!attributes) return reply_error(request, attributes.error());
                       auto& owner = filesystem_of(request);
                       auto file = std::make_unique<OpenFile>();
                       file->inode = {inode.number, attributes->generation};
                       file->shared = owner.open_inodes().get(inode.number);
                       // Like pages: true as long as the directory's lock is held, and then dropped with them.
                       file->cached = owner.options().kernel_caching;
                       info.cache_readdir = info.keep_cache = file->cached ? 1 : 0;
                       info.fh = reinterpret_cast<std::uint64_t>(file.get());
                       if (fuse_reply_open(request, &info) == 0) {
                           static_cast<void>(file.release());
                           return;
                       }
                       owner.close(file->inode);
                   });
}

void releasedir(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
    const std::unique_ptr<OpenFile> file(&open_file_of(info));
    filesystem_of(request).close(file->inode);
    fuse_reply_err(request, 0);
}

struct Listing {
    std::vector<DirectoryItem> items;
    std::vector<double> validity;
    std::optional<LockName> pin;
};

// One reply's worth of entries, as the kernel wants them.
class EntryBuffer {
  public:
    EntryBuffer(fuse_req_t request, std::size_t room) : request_(request), bytes_(room) {}

    bool add(const DirectoryItem& item) {
        struct stat status {};
        status.st_ino = item.inode;
        status.st_mode = item.type;
        const auto size = fuse_add_direntry(request_, bytes_.data() + used_, bytes_.size() - used_, item.name.c_str(),
                                            &status, static_cast<off_t>(item.cookie));
        return take(size);
    }
    bool add(const DirectoryItem& item, const fuse_entry_param& entry) {
        const auto size = fuse_add_direntry_plus(request_, bytes_.data() + used_, bytes_.size() - used_,
                                                 item.name.c_str(), &entry, static_cast<off_t>(item.cookie));
        return take(size);
    }
    bool send() const { return fuse_reply_buf(request_, bytes_.data(), used_) == 0; }

  private:
    bool take(std::size_t size) {
        if (size > bytes_.size() - used_) return false;
        used_ += size;
        return true;
    }

    fuse_req_t request_;
    std::vector<char> bytes_;
    std::size_t used_ = 0;
};

void reply_plain(fuse_req_t request, const Listing& listing, std::size_t room) {
    EntryBuffer buffer(request, room);
    for (const auto& item : listing.items) {
        if (!buffer.add(item)) break;
    }
    buffer.send();
}

// The kernel stamps these entries when it links them, not when it asked: one that was meanwhile taken away would look
// fresh. So they are not believed as names, only their attributes are; the first use of a name looks it up again.
void reply_with_attributes(fuse_req_t request, const Listing& listing, std::size_t room) {
    auto& filesystem = filesystem_of(request);
    EntryBuffer buffer(request, room);
    std::size_t sent = 0;
    for (std::size_t i = 0; i < listing.items.size(); ++i) {
        const auto& item = listing.items[i];
        fuse_entry_param entry{};
        entry.attr.st_ino = item.inode;
        entry.attr.st_mode = item.type;
        if (item.attributes) entry = entry_of(filesystem, {*item.attributes, listing.validity[i]}, 0);
        if (!buffer.add(item, entry)) break;
        ++sent;
    }
    if (!buffer.send()) sent = 0;
    for (auto i = sent; i < listing.items.size(); ++i) {
        if (listing.items[i].attributes) filesystem.take_back(*listing.items[i].attributes);
    }
}

void read_entries(fuse_req_t request, std::size_t room, off_t offset, const fuse_file_info* info, WithAttributes with) {
    auto& filesystem = filesystem_of(request);
    const bool plus = with == WithAttributes::yes;
    const auto limit = std::max<std::size_t>(room / (plus ? entry_with_attributes_size : plain_entry_size), 1);
    filesystem.run(
        [&filesystem, inode = open_file_of(info).inode, cached = open_file_of(info).cached,
         after = static_cast<std::uint64_t>(offset), limit, with](View& view) -> base::Result<Listing> {
            Listing listing;
            BASE_ASSIGN(listing.items, operations::read_directory(view, inode, after, limit, with));
            if (cached) {
                listing.pin = inode_lock(inode.number);
                BASE_TRY(view.pin(*listing.pin, LockMode::shared));
                filesystem.driver().note_read_served(inode.number);
            }
            for (const auto& item : listing.items) {
                if (item.attributes) filesystem.hand_out(*item.attributes);
                listing.validity.push_back(item.attributes ? filesystem.attribute_validity(item.inode) : 0);
            }
            return listing;
        },
        [request, room, plus](const base::Result<Listing>& listing) {
            if (!listing) return reply_error(request, listing.error());
            auto& owner = filesystem_of(request);
            plus ? reply_with_attributes(request, *listing, room) : reply_plain(request, *listing, room);
            if (listing->pin) owner.driver().unpin(*listing->pin);
        });
}

void readdir(fuse_req_t request, fuse_ino_t, std::size_t room, off_t offset, fuse_file_info* info) {
    read_entries(request, room, offset, info, WithAttributes::no);
}

void readdirplus(fuse_req_t request, fuse_ino_t, std::size_t room, off_t offset, fuse_file_info* info) {
    read_entries(request, room, offset, info, WithAttributes::yes);
}

void fsyncdir(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
    filesystem_of(request).driver().commit(
        [request](const base::Result<void>& outcome) { reply_outcome(request, outcome); });
}

}  // namespace

void add_directory_requests(fuse_lowlevel_ops& handlers) {
    handlers.opendir = opendir;
    handlers.readdir = readdir;
    handlers.readdirplus = readdirplus;
    handlers.releasedir = releasedir;
    handlers.fsyncdir = fsyncdir;
}

}  // namespace clusterfs
