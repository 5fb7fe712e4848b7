#include "tools/debugfs_cfs/read_only_file.hh"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace debugfs_cfs {

using clusterfs::block_size;

base::Result<std::unique_ptr<ReadOnlyFile>> ReadOnlyFile::open(const std::string& path) {
    base::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open()) return base::errno_failure(errno, path);
    const auto size = ::lseek(file.get(), 0, SEEK_END);
    if (size < 0) return base::errno_failure(errno, path);
    const auto blocks = static_cast<std::uint64_t>(size) / block_size;
    return std::unique_ptr<ReadOnlyFile>(new ReadOnlyFile(std::move(file), blocks));
}

base::Result<void> ReadOnlyFile::read(clusterfs::BlockNumber first, std::span<clusterfs::Block> into) {
    auto bytes = std::as_writable_bytes(into);
    auto offset = first * block_size;
    while (!bytes.empty()) {
        const auto got = ::pread(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return base::errno_failure(errno, "read");
        if (got == 0) return base::failure(std::errc::io_error, "the device ends early");
        bytes = bytes.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
    return {};
}

}  // namespace debugfs_cfs
