// A mounted filesystem as the request handlers see it: operations that run on the mount, the inodes that are open, what
// the kernel knows and must be told.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "clusterfs/core/operations/attributes.hh"
#include "clusterfs/core/operations/inode_reference.hh"
#include "clusterfs/driver/deletions.hh"
#include "clusterfs/driver/entry_prefetch.hh"
#include "clusterfs/driver/known_inodes.hh"
#include "clusterfs/driver/mount_driver.hh"
#include "clusterfs/driver/open_inodes.hh"
#include "clusterfs/driver/posix_lock_service.hh"

namespace clusterfs {

// The way to the kernel besides replies (fuse_session).
class KernelNotifier {
  public:
    virtual ~KernelNotifier() = default;
    // Drops pages [offset, offset + length) (0: to the end; none with an offset above 2^63) and attributes. False: the
    // kernel does not know the inode.
    virtual bool invalidate_inode(std::uint64_t node_id, std::uint64_t offset, std::uint64_t length) = 0;
    // Every entry that was handed out before has to be looked up again.
    virtual void raise_epoch() = 0;
    virtual bool has_epoch() const = 0;
    // The kernel speaks FUSE 7.`protocol_minor`; called before any request is served.
    virtual void negotiated(unsigned protocol_minor) = 0;
};

struct FilesystemOptions {
    operations::AccessTimePolicy access_time = operations::AccessTimePolicy::relative;
    bool kernel_caching = true;  // without it the kernel asks for everything: to find errors
    // The kernel opens and closes files without asking. Then nobody knows who has one open: see kept_for_kernel().
    bool without_opens = false;
};

class Filesystem {
  public:
    Filesystem(MountDriver& driver, PosixLockService& advisory, FilesystemOptions options);
    ~Filesystem();
    Filesystem(const Filesystem&) = delete;
    Filesystem& operator=(const Filesystem&) = delete;

    // Runs operation(View&) -> Result<T> until it is through, then done(Result<T>), on this thread or another. For want
    // of space it is tried once more after what is being deleted is gone.
    template <typename Operation, typename Done>
    void run(Operation operation, Done done);

    MountDriver& driver() { return driver_; }
    PosixLockService& advisory() { return advisory_; }
    KnownInodes& known() { return known_; }
    OpenInodes& open_inodes() { return open_inodes_; }
    Deletions& deletions() { return deletions_; }
    EntryPrefetch& prefetch() { return prefetch_; }
    const FilesystemOptions& options() const { return options_; }

    // Between node ids (1 is the root) and inodes.
    operations::InodeReference reference(std::uint64_t node_id) const;
    std::uint64_t node_id(InodeNumber inode) const;

    // Seconds for which the kernel may believe what a reply says. Only inside an operation.
    double attribute_validity(InodeNumber inode);
    double entry_validity(InodeNumber directory);

    // The answer hands the inode out. Where the kernel will believe the attributes it is said inside the operation that
    // succeeds with them: an invalidation that comes from then on is repeated until the kernel knows what it got, so
    // the answer may not wait for a lock any more. Where it could not be sent it is taken back.
    void hand_out(const operations::Attributes& attributes);
    void take_back(const operations::Attributes& attributes);
    // The kernel gave back that many.
    void forgotten(std::uint64_t node_id, std::uint64_t lookups);
    // Without opens: an inode that is about to lose a name was opened (operations::open) on the kernel's behalf,
    // because it may have it open; it is closed when the kernel has forgotten it.
    void keep_for_kernel(operations::InodeReference inode);

    void set_notifier(KernelNotifier* notifier) { notifier_ = notifier; }
    KernelNotifier* notifier() const { return notifier_; }
    // On an invalidation thread. `done` is called once the kernel has forgotten, perhaps on another thread.
    void forget_in_kernel(InodeNumber inode, bool is_directory, const std::function<void()>& done);
    // Drops pages that a cached read may have brought while they were overwritten; `then` runs on another thread.
    void drop_pages(InodeNumber inode, std::uint64_t offset, std::uint64_t length, std::function<void()> then);

    // An open file or directory was closed; if that was the last one anywhere and the inode has no name, it is deleted.
    void close(operations::InodeReference inode);

  private:
    void drop_from_kernel(InodeNumber inode, bool is_directory);
    void make_space(std::function<void()> then);
    static bool wants_space(const base::Error& error);

    MountDriver& driver_;
    PosixLockService& advisory_;
    const FilesystemOptions options_;
    KnownInodes known_;
    OpenInodes open_inodes_;
    Deletions deletions_;
    EntryPrefetch prefetch_{*this};
    std::mutex kept_mutex_;
    std::unordered_map<InodeNumber, operations::InodeReference> kept_;  // on the kernel's behalf
    std::atomic<KernelNotifier*> notifier_ = nullptr;
};

template <typename Operation, typename Done>
void Filesystem::run(Operation operation, Done done) {
    using Outcome = std::invoke_result_t<Operation&, View&>;
    struct Call {
        Call(Operation the_operation, Done the_done) : operation(std::move(the_operation)), done(std::move(the_done)) {}
        Operation operation;
        Done done;
        std::optional<Outcome> outcome;
        bool tried_again = false;

        static void start(Filesystem& filesystem, std::shared_ptr<Call> call) {
            filesystem.driver_.run(
                [call](View& view) -> base::Result<void> {
                    call->outcome.emplace(call->operation(view));
                    if (*call->outcome) return {};
                    return std::unexpected(call->outcome->error());
                },
                [call, &filesystem](base::Result<void> ended) { finish(filesystem, call, std::move(ended)); });
        }
        static void finish(Filesystem& filesystem, const std::shared_ptr<Call>& call, base::Result<void> ended) {
            if (ended) return call->done(*std::move(call->outcome));
            if (!call->tried_again && wants_space(ended.error())) {
                call->tried_again = true;
                return filesystem.make_space([&filesystem, call] { start(filesystem, call); });
            }
            call->done(Outcome(std::unexpected(ended.error())));
        }
    };
    Call::start(*this, std::make_shared<Call>(std::move(operation), std::move(done)));
}

}  // namespace clusterfs
