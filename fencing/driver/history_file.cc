#include "fencing/driver/history_file.hh"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "base/io/file_descriptor.hh"
#include "base/io/log.hh"
#include "fencing/core/history.hh"

namespace fencing {
namespace {

base::Result<void> write_all(int file, std::string_view text, const std::string& path) {
    while (!text.empty()) {
        const auto written = ::write(file, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return base::errno_failure(errno, path);
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::fdatasync(file) != 0) return base::errno_failure(errno, path);
    return {};
}

// What is there; an Error when that cannot be told.
base::Result<PastHistory> read_past(const std::string& path) {
    PastHistory past;
    std::error_code ec;
    if (!std::filesystem::exists(path, ec) && !ec) return past;
    std::ifstream file(path);
    if (!file) return base::errno_failure(errno, path);
    for (std::string line; std::getline(file, line);) {
        auto entry = parse_history_line(line);
        if (entry) {
            past.entries.push_back(*std::move(entry));
        } else if (!line.empty()) {
            ++past.damaged;
        }
    }
    if (file.bad()) return base::failure(std::errc::io_error, path);
    if (past.entries.size() > History::limit) {
        past.entries.erase(past.entries.begin(), past.entries.end() - static_cast<std::ptrdiff_t>(History::limit));
    }
    return past;
}

// Replaces the file by what was read of it: neither cut lines nor endless growth.
base::Result<base::FileDescriptor> rewrite(const std::string& path, const PastHistory& past) {
    const auto draft = path + ".new";
    base::FileDescriptor file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640));
    if (!file.is_open()) return base::errno_failure(errno, draft);
    std::string text;
    for (const auto& entry : past.entries) text += history_line(entry) + "\n";
    BASE_TRY(write_all(file.get(), text, draft));
    if (::rename(draft.c_str(), path.c_str()) != 0) return base::errno_failure(errno, path);
    return file;
}

// Without it fencing goes on: what cannot be kept is said, and nothing that is there is replaced.
base::FileDescriptor open_for_more(const std::string& path, const base::Error& why) {
    base::log_error(
        "the fence history is not kept as it should, make room or mend the disk, then restart cfs-fenced: {}",
        why.message());
    base::FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    if (!file.is_open()) base::log_error("the fence history is not kept: {}: {}", path, std::strerror(errno));
    return file;
}

class ThreadedHistoryFile : public HistoryFile {
  public:
    ThreadedHistoryFile(std::string path, base::FileDescriptor file)
        : path_(std::move(path)), file_(std::move(file)), writer_([this] { work(); }) {}
    ~ThreadedHistoryFile() override {
        {
            const std::lock_guard lock(mutex_);
            ending_ = true;
        }
        wake_.notify_one();
        writer_.join();
    }

    void append(const HistoryEntry& entry) override {
        {
            const std::lock_guard lock(mutex_);
            waiting_.push_back(history_line(entry) + "\n");
        }
        wake_.notify_one();
    }

  private:
    void work() {
        bool failed = !file_.is_open();
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            const auto line = std::move(waiting_.front());
            waiting_.pop_front();
            lock.unlock();
            // After a failure there may be a piece of a line before it.
            const auto done = write_all(file_.get(), failed ? "\n" + line : line, path_);
            if (!done) base::log_error("the fence history is not written: {}", done.error().message());
            failed = !done;
            lock.lock();
        }
    }

    const std::string path_;
    const base::FileDescriptor file_;
    std::mutex mutex_;  // guards what follows
    std::deque<std::string> waiting_;
    bool ending_ = false;
    std::condition_variable wake_;
    std::thread writer_;  // last: it uses all of the above
};

}  // namespace

std::string history_path() {
    const char* chosen = std::getenv("CFS_STATE_DIR");
    return std::string(chosen != nullptr && *chosen != '\0' ? chosen : "/var/lib") + "/cfs/fence-history";
}

std::unique_ptr<HistoryFile> HistoryFile::open(const std::string& path, PastHistory& past) {
    std::error_code ec;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ec);
    auto found = read_past(path);
    if (!found) return std::make_unique<ThreadedHistoryFile>(path, open_for_more(path, found.error()));
    past = *std::move(found);
    auto file = rewrite(path, past);
    if (!file) return std::make_unique<ThreadedHistoryFile>(path, open_for_more(path, file.error()));
    return std::make_unique<ThreadedHistoryFile>(path, *std::move(file));
}

}  // namespace fencing
