// The connection to the kernel: mounts, receives requests on several threads, tells the kernel what to forget.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hh"
#include "clusterfs/driver/filesystem.hh"

struct fuse_session;

namespace clusterfs {

struct FuseMountOptions {
    std::string source;  // shown by mount(8)
    std::string mountpoint;
    std::vector<std::string> kernel;  // ro, nosuid, noexec …, as mount(8) has them
    bool read_only = false;
    bool powersave = false;  // a receiver sleeps while it waits
    // 0: half as many as there are processors: no handler waits for anything, and who asks needs one, too.
    unsigned threads = 0;
};

class FuseSession : public KernelNotifier {
  public:
    // Mounts; requests are received from then on and served once serve() was called.
    static base::Result<std::unique_ptr<FuseSession>> mount(Filesystem& filesystem, const FuseMountOptions& options);
    ~FuseSession() override;

    // Starts the threads. `ended` runs on one of them, once, when the kernel has let go of the filesystem.
    void serve(std::function<void()> ended);
    // Takes the filesystem out of the tree. What is still open in it keeps the connection until abort().
    void unmount();
    // Ends the threads, whether or not somebody still uses the filesystem. Not on one of them.
    void abort();

    bool invalidate_inode(std::uint64_t node_id, std::uint64_t offset, std::uint64_t length) override;
    void raise_epoch() override;
    bool has_epoch() const override { return has_epoch_; }
    void negotiated(unsigned protocol_minor) override;

  private:
    FuseSession(fuse_session* session, const FuseMountOptions& options);
    void receive();
    bool send_epoch() const;
    void end_connection() const;

    fuse_session* session_;
    std::string mountpoint_;
    std::optional<unsigned> connection_;
    unsigned thread_count_;
    bool may_stay_awake_;
    std::function<void()> ended_;
    std::atomic<bool> told_ended_ = false;
    std::atomic<bool> aborting_ = false;
    std::atomic<unsigned> running_ = 0;
    std::atomic<bool> mounted_ = true;
    std::atomic<bool> has_epoch_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace clusterfs
