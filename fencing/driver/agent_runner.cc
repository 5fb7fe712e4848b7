#include "fencing/driver/agent_runner.hh"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "base/io/clock.hh"
#include "base/io/file_descriptor.hh"
#include "fencing/core/verdict.hh"
#include "fencing/format/error.hh"

namespace fencing {
namespace {

constexpr std::size_t kept_output = 4096;  // bytes from the end

struct Pipe {
    base::FileDescriptor read;
    base::FileDescriptor write;
};

base::Result<Pipe> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return base::errno_failure(errno, "pipe for a fence agent");
    return Pipe{base::FileDescriptor(ends[0]), base::FileDescriptor(ends[1])};
}

// posix_spawn's attributes and file actions, freed at the end of the scope.
class SpawnPlan {
  public:
    SpawnPlan(int input, int output) {
        ::posix_spawnattr_init(&attributes_);
        ::posix_spawn_file_actions_init(&files_);
        sigset_t all, none;
        ::sigfillset(&all);
        ::sigemptyset(&none);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setpgroup(&attributes_, 0);
        ::posix_spawnattr_setflags(&attributes_,
                                   POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        ::posix_spawn_file_actions_adddup2(&files_, input, 0);
        ::posix_spawn_file_actions_adddup2(&files_, output, 1);
        ::posix_spawn_file_actions_adddup2(&files_, output, 2);
    }
    ~SpawnPlan() {
        ::posix_spawnattr_destroy(&attributes_);
        ::posix_spawn_file_actions_destroy(&files_);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;

    base::Result<pid_t> spawn(const std::string& path) const {
        std::string name = path;
        char* arguments[] = {name.data(), nullptr};
        pid_t child = -1;
        const int failed = ::posix_spawn(&child, path.c_str(), &files_, &attributes_, arguments, environ);
        if (failed != 0) return base::failure(Errc::agent_start, path + ": " + std::strerror(failed));
        return child;
    }

  private:
    posix_spawnattr_t attributes_;
    posix_spawn_file_actions_t files_;
};

std::string last_line(const std::string& text) {
    const auto end = text.find_last_not_of(" \t\r\n");
    if (end == std::string::npos) return {};
    const auto begin = text.find_last_of("\r\n", end);
    return text.substr(begin == std::string::npos ? 0 : begin + 1,
                       end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

// "Status: OFF" is what agents print beside exit status 2, which alone may be that of an interpreter without its
// script.
bool says_off(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char each) { return std::tolower(each); });
    return text.find("off") != std::string::npos;
}

void blot_out(std::string& text, const std::string& secret) {
    if (secret.empty()) return;
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
        text.replace(at, secret.size(), "[set]");
        at += 5;
    }
}

}  // namespace

class AgentRunner::Child : public std::enable_shared_from_this<AgentRunner::Child> {
  public:
    Child(AgentRunner& runner, Finished finished)
        : runner_(runner), finished_(std::move(finished)), started_(base::monotonic_now()) {}
    ~Child() { kill_and_reap(); }

    base::Result<void> start(const Device& device, const std::string& action, const std::string& victim) {
        status_asked_ = action == text_of(AgentAction::status);
        BASE_ASSIGN(const auto path, find_agent(device.agent));
        BASE_ASSIGN(input_, agent_input(device, action, victim));
        remember_secrets();
        BASE_ASSIGN(auto input, make_pipe());
        BASE_ASSIGN(auto output, make_pipe());
        BASE_ASSIGN(process_, SpawnPlan(input.read.get(), output.write.get()).spawn(path));
        output_ = std::move(output.read);
        ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
        // A pipe holds 64 KiB: an agent that reads nothing cannot stop us.
        if (input_.size() > 32 * 1024) return base::failure(Errc::agent_start, "options of more than 32 KiB");
        ::signal(SIGPIPE, SIG_IGN);
        if (::write(input.write.get(), input_.data(), input_.size()) < 0) input_.clear();
        handle_ = base::FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, process_, 0)));
        if (!handle_.is_open()) return base::errno_failure(errno, "pidfd_open");
        watch_ = runner_.loop_.watch_readable(handle_.get(), [this] { ended(); });
        reading_ = runner_.loop_.watch_readable(output_.get(), [this] { read_output(); });
        timer_ = runner_.loop_.after(device.timeout, [this] { time_is_up(); });
        return {};
    }

    // Never from inside run().
    void fail_later(const base::Error& why) {
        kill_and_reap();
        text_ = why.message();
        timer_ = runner_.loop_.after({}, [this] { report({AgentExit::not_run, 0, {}, {}}); });
    }

  private:
    void remember_secrets() {
        for (std::size_t begin = 0; begin < input_.size();) {
            const auto end = std::min(input_.find('\n', begin), input_.size());
            const auto line = input_.substr(begin, end - begin);
            const auto equals = line.find('=');
            if (is_secret_option(line.substr(0, equals))) secrets_.push_back(line.substr(equals + 1));
            begin = end + 1;
        }
    }

    void read_output() {
        char chunk[4096];
        const auto got = ::read(output_.get(), chunk, sizeof chunk);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) return reading_.reset();
        text_.append(chunk, static_cast<std::size_t>(got));
        if (text_.size() > 2 * kept_output) text_.erase(0, text_.size() - kept_output);
    }

    void time_is_up() {
        timed_out_ = true;
        ::kill(-process_, SIGKILL);  // its whole group; ended() follows
    }

    void ended() {
        int status = 0;
        ::kill(-process_, SIGKILL);  // what it has left behind: nothing may switch power later
        if (::waitpid(process_, &status, WNOHANG) != process_) return;
        process_ = -1;
        for (int i = 0; reading_ && i < 16; ++i) read_output();
        AgentEnd end;
        end.exit = timed_out_ ? AgentExit::timed_out : WIFEXITED(status) ? AgentExit::exited : AgentExit::crashed;
        end.code = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
        if (status_asked_ && judge(AgentAction::status, end.exit, end.code) == Verdict::power_off && !says_off(text_))
            end.exit = AgentExit::unclear;
        report(std::move(end));
    }

    void report(AgentEnd end) {
        const auto self = shared_from_this();
        for (const auto& secret : secrets_) blot_out(text_, secret);
        end.output = last_line(text_).substr(0, 200);
        end.took = base::monotonic_now() - started_;
        runner_.forget(this);
        finished_(end);
    }

    void kill_and_reap() {
        watch_.reset();
        reading_.reset();
        timer_.reset();
        if (process_ <= 0) return;
        ::kill(-process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
        process_ = -1;
    }

    AgentRunner& runner_;
    Finished finished_;
    const base::Instant started_;
    std::string input_;
    std::vector<std::string> secrets_;
    pid_t process_ = -1;
    bool timed_out_ = false;
    bool status_asked_ = false;
    base::FileDescriptor handle_;
    base::FileDescriptor output_;
    std::string text_;
    base::EventLoop::Handle watch_;
    base::EventLoop::Handle reading_;
    base::EventLoop::Handle timer_;
};

AgentRunner::AgentRunner(base::EventLoop& loop) : loop_(loop) {}
AgentRunner::~AgentRunner() = default;

void AgentRunner::run(const Device& device, const std::string& action, const std::string& victim, Finished finished) {
    const auto child = std::make_shared<Child>(*this, std::move(finished));
    children_.emplace(child.get(), child);
    if (const auto started = child->start(device, action, victim); !started) child->fail_later(started.error());
}

void AgentRunner::forget(Child* child) { children_.erase(child); }

}  // namespace fencing
