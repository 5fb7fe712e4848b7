#include "tools/mount_cfs/background.hh"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace mount_cfs {
namespace {

// The child's word: an exit code, then text for people. A child that dies says nothing.
[[noreturn]] void wait_for_word(int pipe) {
    std::string word;
    char part[512];
    for (;;) {
        const auto got = ::read(pipe, part, sizeof part);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        word.append(part, static_cast<std::size_t>(got));
    }
    if (word.empty()) {
        std::fprintf(stderr, "mount.cfs: the background process ended without a word\n");
        ::_exit(exit_failed);
    }
    if (word.size() > 1) std::fprintf(stderr, "mount.cfs: %s\n", word.c_str() + 1);
    ::_exit(static_cast<std::uint8_t>(word[0]));
}

}  // namespace

Caller Caller::split() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        std::perror("mount.cfs: pipe");
        ::_exit(exit_system);
    }
    const auto child = ::fork();
    if (child < 0) {
        std::perror("mount.cfs: fork");
        ::_exit(exit_system);
    }
    if (child > 0) {
        ::close(ends[1]);
        wait_for_word(ends[0]);
    }
    ::close(ends[0]);
    ::setsid();
    Caller caller;
    caller.pipe_ = base::FileDescriptor(ends[1]);
    caller.background_ = true;
    return caller;
}

void Caller::tell(int code, const std::string& text) {
    if (std::exchange(told_, true)) return;
    if (!background_) {
        if (!text.empty()) std::fprintf(stderr, "mount.cfs: %s\n", text.c_str());
        return;
    }
    const std::string word = static_cast<char>(code) + text;
    if (::write(pipe_.get(), word.data(), word.size()) < 0) std::perror("mount.cfs");
    pipe_ = {};
}

void Caller::tell_mounted() { tell(exit_ok, {}); }

void Caller::tell_failed(const std::string& text) { tell(exit_failed, text); }

bool detach_from_terminal() {
    struct stat status {};
    const bool keeps_log = ::fstat(STDERR_FILENO, &status) == 0 && S_ISREG(status.st_mode);
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) return keeps_log;
    ::dup2(null, STDIN_FILENO);
    ::dup2(null, STDOUT_FILENO);
    if (!keeps_log) ::dup2(null, STDERR_FILENO);
    ::close(null);
    return keeps_log;
}

}  // namespace mount_cfs
