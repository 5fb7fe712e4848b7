#include "base/io/unix_socket.hh"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace base {
namespace {

Result<sockaddr_un> to_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return failure(std::errc::filename_too_long, path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

Result<FileDescriptor> make_socket() {
    FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.is_open()) return errno_failure(errno, "socket");
    return socket;
}

}  // namespace

void limit_waiting(const FileDescriptor& socket, Duration limit) {
    const timeval value{limit.nanoseconds / 1'000'000'000, limit.nanoseconds % 1'000'000'000 / 1000};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);  // of connect, too
}

Result<FileDescriptor> connect_unix(const std::string& path, Duration limit) {
    BASE_ASSIGN(const auto address, to_address(path));
    BASE_ASSIGN(auto socket, make_socket());
    limit_waiting(socket, limit);
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    while (::connect(socket.get(), raw, sizeof address) != 0) {
        if (errno == EAGAIN)
            return failure(std::errc::resource_unavailable_try_again, path + ": the daemon hangs, nobody accepts");
        if (errno != EINTR) return errno_failure(errno, path);
    }
    limit_waiting(socket, {});
    return socket;
}

Result<FileDescriptor> listen_unix(const std::string& path) {
    BASE_ASSIGN(const auto address, to_address(path));
    std::error_code ec;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ec);
    if (ec) return failure(ec, "cannot make the directory of " + path);
    const auto other = connect_unix(path, Duration::seconds(1));
    if (other || other.error().code == std::errc::resource_unavailable_try_again) {
        return failure(std::errc::address_in_use, path + ": another process is listening there already");
    }
    const auto nobody = other.error().code == std::errc::connection_refused ||
                        other.error().code == std::errc::no_such_file_or_directory;
    if (!nobody) return failure(other.error().code, "cannot tell who has " + path);
    std::filesystem::remove(path, ec);
    BASE_ASSIGN(auto socket, make_socket());
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return errno_failure(errno, "cannot make " + path);
    }
    if (::chmod(path.c_str(), 0660) != 0 || ::listen(socket.get(), 64) != 0) return errno_failure(errno, path);
    return socket;
}

}  // namespace base
