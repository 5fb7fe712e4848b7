#include "clusterfs/driver/request.hh"

namespace clusterfs {
namespace {

timespec timespec_of(base::WallTime time) {
    constexpr std::int64_t second = 1'000'000'000;
    std::int64_t seconds = time.nanoseconds / second;
    std::int64_t rest = time.nanoseconds % second;
    if (rest < 0) {
        rest += second;
        --seconds;
    }
    return {seconds, rest};
}

}  // namespace

struct stat stat_of(const operations::Attributes& attributes) {
    struct stat result {};
    result.st_ino = attributes.inode;
    result.st_mode = attributes.mode;
    result.st_nlink = attributes.links;
    result.st_uid = attributes.uid;
    result.st_gid = attributes.gid;
    result.st_rdev = attributes.device;
    result.st_size = static_cast<off_t>(attributes.size);
    result.st_blksize = block_size;
    result.st_blocks = static_cast<blkcnt_t>(attributes.blocks * (block_size / 512));
    result.st_atim = timespec_of(attributes.accessed);
    result.st_mtim = timespec_of(attributes.modified);
    result.st_ctim = timespec_of(attributes.changed);
    return result;
}

UsedFile used_file(fuse_req_t request, fuse_ino_t node, const fuse_file_info* info) {
    auto& filesystem = filesystem_of(request);
    if (!filesystem.options().without_opens) {
        auto& open = open_file_of(info);
        return {open.inode, open.shared, open.cached, false, &open};
    }
    const auto inode = filesystem.reference(node);
    const bool made = info->fh == handle_of_made_file;
    const bool cached = !made && filesystem.options().kernel_caching;
    return {inode, filesystem.open_inodes().get(inode.number), cached, !made, nullptr};
}

operations::Caller caller_of(fuse_req_t request) {
    const auto* context = fuse_req_ctx(request);
    return {context->uid, context->gid, context->umask};
}

void reply_error(fuse_req_t request, const base::Error& error) { fuse_reply_err(request, base::to_errno(error)); }

void reply_outcome(fuse_req_t request, const base::Result<void>& outcome) {
    if (!outcome) return reply_error(request, outcome.error());
    fuse_reply_err(request, 0);
}

void reply_attributes(fuse_req_t request, const base::Result<KnownAttributes>& known) {
    if (!known) return reply_error(request, known.error());
    const auto status = stat_of(known->attributes);
    fuse_reply_attr(request, &status, known->validity);
}

fuse_entry_param entry_of(Filesystem& filesystem, const KnownAttributes& known, double entry_validity) {
    fuse_entry_param entry{};
    entry.ino = filesystem.node_id(known.attributes.inode);
    entry.generation = known.attributes.generation;
    entry.attr = stat_of(known.attributes);
    entry.attr_timeout = known.validity;
    entry.entry_timeout = entry_validity;
    return entry;
}

void reply_entry(fuse_req_t request, const KnownAttributes& known, double entry_validity) {
    auto& filesystem = filesystem_of(request);
    const auto entry = entry_of(filesystem, known, entry_validity);
    if (fuse_reply_entry(request, &entry) != 0) filesystem.take_back(known.attributes);
}

}  // namespace clusterfs
