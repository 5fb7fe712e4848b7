#include "base/io/io_path_protection.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/io/file_descriptor.hh"

namespace base {
namespace {

constexpr int set_io_flusher = 57;  // PR_SET_IO_FLUSHER, Linux 5.6

bool write_oom_score(std::string_view value) {
    const FileDescriptor file(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
    return file.is_open() && ::write(file.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

}  // namespace

std::vector<std::string> protect_io_path() {
    std::vector<std::string> refused;
    const auto note = [&](const char* what) { refused.push_back(std::string(what) + ": " + std::strerror(errno)); };
    if (::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) note("mlockall");
    if (::prctl(set_io_flusher, 1, 0, 0, 0) != 0) note("prctl PR_SET_IO_FLUSHER");
    if (!write_oom_score("-1000")) note("oom_score_adj");
    return refused;
}

}  // namespace base
