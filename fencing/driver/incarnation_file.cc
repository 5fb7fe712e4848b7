#include "fencing/driver/incarnation_file.hh"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "base/io/file_descriptor.hh"
#include "base/io/paths.hh"
#include "base/io/random.hh"
#include "fencing/format/error.hh"

namespace fencing {
namespace {

base::Result<std::optional<base::Uuid>> read(const std::string& path) {
    const base::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open() && errno == ENOENT) return std::optional<base::Uuid>{};
    if (!file.is_open()) return base::errno_failure(errno, path);
    char text[64];
    const auto length = ::read(file.get(), text, sizeof text);
    if (length < 0) return base::errno_failure(errno, path);
    std::string_view line(text, static_cast<std::size_t>(length));
    if (line.ends_with('\n')) line.remove_suffix(1);
    const auto life = base::Uuid::parse(line);
    if (!life || life->is_nil())
        return base::failure(Errc::incarnation_file, path + " is damaged: restart this machine");
    return life;
}

// Complete or not at all, and never over one that is there.
base::Result<void> make(const std::string& path, const base::Uuid& life) {
    std::error_code ec;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ec);
    const auto draft = path + "." + std::to_string(::getpid());
    const base::FileDescriptor file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file.is_open()) return base::errno_failure(errno, draft);
    const auto text = life.text() + "\n";
    const bool written = ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const int failed = !written ? EIO : ::link(draft.c_str(), path.c_str()) == 0 || errno == EEXIST ? 0 : errno;
    ::unlink(draft.c_str());
    if (failed != 0) return base::errno_failure(failed, path);
    return {};
}

}  // namespace

std::string incarnation_path() { return base::run_path("cfs/incarnation"); }

base::Result<base::Uuid> this_life(const std::string& path) {
    BASE_ASSIGN(auto life, read(path));
    if (life) return *life;
    BASE_TRY(make(path, base::random_uuid()));
    // Whoever was first has named it.
    BASE_ASSIGN(life, read(path));
    if (!life) return base::failure(Errc::incarnation_file, path + " vanished");
    return *life;
}

}  // namespace fencing
