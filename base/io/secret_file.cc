#include "base/io/secret_file.hh"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/io/file_descriptor.hh"

namespace base {

Result<std::string> read_secret(const std::string& path) {
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open()) return errno_failure(errno, path);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return errno_failure(errno, path);
    if ((status.st_mode & 077) != 0) {
        return failure(std::errc::permission_denied, path + " may be read by others: chmod 600 " + path);
    }
    char text[512];
    const auto length = ::read(file.get(), text, sizeof text);
    if (length < 0) return errno_failure(errno, path);
    std::string secret(text, static_cast<std::size_t>(length));
    secret.resize(std::min(secret.size(), secret.find_first_of("\r\n")));
    if (secret.empty())
        return failure(std::errc::invalid_argument, path + " is empty: write a secret of 1 to 256 bytes");
    if (secret.size() > 256)
        return failure(std::errc::invalid_argument, path + ": the secret is longer than 256 bytes");
    return secret;
}

}  // namespace base
