// bench_nothing MOUNTPOINT BYTES: a FUSE filesystem that does nothing. It has every name, a file of that many bytes,
// and answers at once: what the kernel's interface itself costs. Ends when it is unmounted.
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unordered_map>

namespace {

constexpr double forever = 86400;

struct Nothing {
    std::string content;
    std::unordered_map<std::string, fuse_ino_t> inodes;
};

Nothing& nothing_of(fuse_req_t request) { return *static_cast<Nothing*>(fuse_req_userdata(request)); }

struct stat status_of(const Nothing& nothing, fuse_ino_t inode) {
    struct stat status {};
    status.st_ino = inode;
    status.st_nlink = 1;
    status.st_mode = inode == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
    status.st_size = inode == FUSE_ROOT_ID ? 0 : static_cast<off_t>(nothing.content.size());
    return status;
}

void lookup(fuse_req_t request, fuse_ino_t, const char* name) {
    auto& nothing = nothing_of(request);
    const auto number = nothing.inodes.size() + FUSE_ROOT_ID + 1;
    fuse_entry_param entry{};
    entry.ino = nothing.inodes.try_emplace(name, number).first->second;
    entry.attr = status_of(nothing, entry.ino);
    entry.attr_timeout = entry.entry_timeout = forever;
    fuse_reply_entry(request, &entry);
}

void getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
    const auto status = status_of(nothing_of(request), inode);
    fuse_reply_attr(request, &status, forever);
}

void open(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
    info->keep_cache = 1;
    fuse_reply_open(request, info);
}

void read(fuse_req_t request, fuse_ino_t, std::size_t, off_t offset, fuse_file_info*) {
    const auto& content = nothing_of(request).content;
    const auto from = std::min(static_cast<std::size_t>(offset), content.size());
    fuse_reply_buf(request, content.data() + from, content.size() - from);
}

void done(fuse_req_t request, fuse_ino_t, fuse_file_info*) { fuse_reply_err(request, 0); }

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fputs("usage: bench_nothing MOUNTPOINT BYTES\n", stderr);
        return 2;
    }
    Nothing nothing{std::string(std::stoul(argv[2]), 'x'), {}};
    fuse_lowlevel_ops handlers{};
    handlers.lookup = lookup;
    handlers.getattr = getattr;
    handlers.open = open;
    handlers.read = read;
    handlers.flush = done;
    handlers.release = done;
    fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
    fuse_opt_add_arg(&arguments, argv[0]);
    auto* session = fuse_session_new(&arguments, &handlers, sizeof handlers, &nothing);
    fuse_opt_free_args(&arguments);
    if (session == nullptr || fuse_session_mount(session, argv[1]) != 0) return 1;
    const int outcome = fuse_session_loop(session);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    return outcome == 0 ? 0 : 1;
}
