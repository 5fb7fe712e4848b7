// A real FUSE daemon that is killed while one of its threads waits in the kernel for an answer of its own.
#define FUSE_USE_VERSION 314
#include "tools/mount_cfs/dead_mount.hh"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "clusterfs/driver/fuse_connection.hh"
#include "tests/unit/base_io/loop_fixture.hh"

namespace {

constexpr fuse_ino_t file_inode = 2;
constexpr double forever = 86400;

struct stat status_of(fuse_ino_t inode) {
    struct stat status {};
    status.st_ino = inode;
    status.st_nlink = 1;
    status.st_mode = inode == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
    status.st_size = inode == FUSE_ROOT_ID ? 0 : 1 << 20;
    return status;
}

void lookup(fuse_req_t request, fuse_ino_t, const char*) {
    fuse_entry_param entry{};
    entry.ino = file_inode;
    entry.attr = status_of(file_inode);
    entry.attr_timeout = entry.entry_timeout = forever;
    fuse_reply_entry(request, &entry);
}
void getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
    const auto status = status_of(inode);
    fuse_reply_attr(request, &status, forever);
}
void open_file(fuse_req_t request, fuse_ino_t, fuse_file_info* file) { fuse_reply_open(request, file); }
// Never answered; another thread has the kernel forget the pages meanwhile, which waits for the answer.
void read_file(fuse_req_t request, fuse_ino_t inode, std::size_t, off_t, fuse_file_info*) {
    auto* session = *static_cast<fuse_session**>(fuse_req_userdata(request));
    std::thread([session, inode] { fuse_lowlevel_notify_inval_inode(session, inode, 0, 0); }).detach();
}

[[noreturn]] void be_daemon(const std::string& mountpoint) {
    fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
    fuse_opt_add_arg(&arguments, "dead_mount_test");
    fuse_lowlevel_ops handlers{};
    handlers.lookup = lookup;
    handlers.getattr = getattr;
    handlers.open = open_file;
    handlers.read = read_file;
    fuse_session* session = nullptr;
    session = fuse_session_new(&arguments, &handlers, sizeof handlers, &session);
    if (session == nullptr || fuse_session_mount(session, mountpoint.c_str()) != 0) ::_exit(1);
    fuse_session_loop(session);
    ::_exit(0);
}

// Its number is then no longer its own.
bool has_ended(pid_t& process) {
    if (process != 0 && ::waitpid(process, nullptr, WNOHANG) == process) process = 0;
    return process == 0;
}

template <typename Condition>
bool comes(Condition condition) {
    for (int i = 0; i < 10'000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

// One of its threads, and nothing but the end of what it waits for wakes it.
bool waits_in_kernel(pid_t process) {
    for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
        std::ifstream file(thread.path() / "stat");
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        if (text.find(") D ") != std::string::npos) return true;
    }
    return false;
}

class DeadMountTest : public LoopTest {
  protected:
    DeadMountTest() {
        char name[] = "/tmp/cfs-dead-mount-XXXXXX";
        mountpoint_ = ::mkdtemp(name);
        const auto before = clusterfs::fuse_connection_at(mountpoint_);
        daemon_ = ::fork();
        if (daemon_ == 0) be_daemon(mountpoint_);
        EXPECT_TRUE(comes([&] { return clusterfs::fuse_connection_at(mountpoint_) != before; })) << "no FUSE here?";
        connection_ = clusterfs::fuse_connection_at(mountpoint_).value_or(0);
    }
    ~DeadMountTest() override {
        static_cast<void>(clusterfs::abort_fuse_connection(connection_));
        ::umount2(mountpoint_.c_str(), MNT_DETACH);
        for (const auto process : {daemon_, reader_}) {
            if (process <= 0) continue;
            ::kill(process, SIGKILL);
            ::waitpid(process, nullptr, 0);
        }
        ::rmdir(mountpoint_.c_str());
    }
    // Its read is with the daemon.
    void start_reader() {
        reader_ = ::fork();
        if (reader_ != 0) return;
        char byte = 0;
        const int file = ::open((mountpoint_ + "/f").c_str(), O_RDONLY);
        ::_exit(::read(file, &byte, 1) == 1 ? 0 : 7);
    }

    std::string mountpoint_;
    unsigned connection_ = 0;
    pid_t daemon_ = 0;
    pid_t reader_ = 0;
};

TEST_F(DeadMountTest, EndsWhereNobodyIsLeftWhoCouldAnswer) {
    start_reader();
    ASSERT_TRUE(comes([&] { return waits_in_kernel(daemon_); })) << "the daemon does not wait for itself";
    ::kill(daemon_, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    ASSERT_FALSE(has_ended(daemon_)) << "it waits for itself";

    std::vector<std::string> told;
    const mount_cfs::DeadMountWatch watch(loop_, daemon_, connection_, mountpoint_,
                                          [&](const std::string& what) { told.push_back(what); });
    base::EventLoop::Handle look;
    std::function<void()> until_it_ends = [&] {
        if (has_ended(daemon_)) return done();
        look = loop_.after(base::Duration::milliseconds(20), until_it_ends);
    };
    until_it_ends();
    run_until_done();
    EXPECT_EQ(daemon_, 0);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_NE(told.front().find("is aborted"), std::string::npos) << told.front();
    int status = 0;
    EXPECT_EQ(::waitpid(std::exchange(reader_, 0), &status, 0) > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7);
}

TEST_F(DeadMountTest, LeavesAloneWhoLives) {
    const mount_cfs::DeadMountWatch watch(loop_, daemon_, connection_, mountpoint_,
                                          [](const std::string& what) { ADD_FAILURE() << what; });
    const auto later = loop_.after(base::Duration::milliseconds(1300), [this] { done(); });
    run_until_done();
    struct stat status {};
    EXPECT_EQ(::stat((mountpoint_ + "/another").c_str(), &status), 0);
}

}  // namespace
