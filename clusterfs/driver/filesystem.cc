#include "clusterfs/driver/filesystem.hh"

#include <chrono>
#include <limits>
#include <thread>

#include "base/io/log.hh"
#include "clusterfs/core/operations/access.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs {
namespace {

constexpr std::uint64_t root_node_id = 1;
constexpr double as_long_as_the_lock_is_held = 86400;
constexpr double not_at_all = 0;
constexpr auto attributes_only = std::numeric_limits<std::uint64_t>::max();  // an offset below zero, for the kernel

}  // namespace

Filesystem::Filesystem(MountDriver& driver, PosixLockService& advisory, FilesystemOptions options)
    : driver_(driver), advisory_(advisory), options_(options), deletions_(driver) {
    constexpr std::size_t writers_at_once = 64;
    if (options.without_opens) driver_.invalidator().grow_to(writers_at_once);
}

// A thread that waited for the kernel may come back after the lock, and the mount, were gone.
Filesystem::~Filesystem() { driver_.invalidator().end(); }

operations::InodeReference Filesystem::reference(std::uint64_t node_id) const {
    if (node_id == root_node_id) return {driver_.superblock().root_inode, 0};
    return {node_id, known_.generation(node_id)};
}

std::uint64_t Filesystem::node_id(InodeNumber inode) const {
    return inode == driver_.superblock().root_inode ? root_node_id : inode;
}

double Filesystem::attribute_validity(InodeNumber inode) {
    if (!options_.kernel_caching) return not_at_all;
    return driver_.may_cache(inode) ? as_long_as_the_lock_is_held : not_at_all;
}

double Filesystem::entry_validity(InodeNumber directory) {
    const auto* notifier = notifier_.load();
    if (notifier == nullptr || !notifier->has_epoch()) return not_at_all;
    return attribute_validity(directory);
}

void Filesystem::hand_out(const operations::Attributes& attributes) {
    known_.remember(node_id(attributes.inode), attributes.generation);
}

void Filesystem::take_back(const operations::Attributes& attributes) { forgotten(node_id(attributes.inode), 1); }

void Filesystem::forgotten(std::uint64_t node_id, std::uint64_t lookups) {
    if (!known_.forget(node_id, lookups) || !options_.without_opens) return;
    std::optional<operations::InodeReference> kept;
    {
        const std::lock_guard lock(kept_mutex_);
        const auto node = kept_.extract(node_id);
        if (!node.empty()) kept = node.mapped();
    }
    if (kept) close(*kept);
}

// It may have forgotten it meanwhile.
void Filesystem::keep_for_kernel(operations::InodeReference inode) {
    {
        const std::lock_guard lock(kept_mutex_);
        if (known_.knows(inode.number) && kept_.emplace(inode.number, inode).second) return;
    }
    close(inode);
}

// Where the kernel answers that it does not know an inode that was handed out to it, the reply is still on its way to
// the task that asked (or the inode was just evicted, and a forget is on its way to us): soon it is one or the other.
// Until then the lock is kept, however long that takes: what the kernel still gets would never be dropped.
void Filesystem::drop_from_kernel(InodeNumber inode, bool is_directory) {
    auto* notifier = notifier_.load();
    if (notifier == nullptr) return;
    if (is_directory) notifier->raise_epoch();
    const bool is_root = node_id(inode) == root_node_id;
    for (int attempt = 1; notifier != nullptr; ++attempt, notifier = notifier_.load()) {
        if (!is_root && !known_.knows(inode)) return;
        if (notifier->invalidate_inode(node_id(inode), 0, 0) || is_root) return;
        if (attempt % 10000 == 0) base::log_warning("the kernel does not take note of inode {}", inode);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

void Filesystem::forget_in_kernel(InodeNumber inode, bool is_directory, const std::function<void()>& done) {
    if (!options_.without_opens || is_directory) {
        drop_from_kernel(inode, is_directory);
        return done();
    }
    const auto shared = open_inodes_.get(inode);
    auto told = std::make_shared<std::once_flag>();
    const auto tell = [told, done] { std::call_once(*told, done); };
    if (shared->begin_invalidation(tell)) {
        drop_from_kernel(inode, is_directory);
        shared->end_invalidation();
    } else if (auto* notifier = notifier_.load()) {
        notifier->invalidate_inode(node_id(inode), attributes_only, 0);
    }
    tell();
}

void Filesystem::drop_pages(InodeNumber inode, std::uint64_t offset, std::uint64_t length, std::function<void()> then) {
    driver_.invalidator().enqueue([this, inode, offset, length, then = std::move(then)] {
        if (auto* notifier = notifier_.load()) notifier->invalidate_inode(node_id(inode), offset, length);
        then();
    });
}

void Filesystem::close(operations::InodeReference inode) {
    if (!driver_.close(inode.number)) return;
    run([inode](View& view) { return operations::get_attributes(view, inode); },
        [this, inode](const base::Result<operations::Attributes>& attributes) {
            if (attributes && attributes->links == 0) deletions_.start(inode, {});
        });
}

bool Filesystem::wants_space(const base::Error& error) { return error.code == std::errc::no_space_on_device; }

// Blocks that were freed can be had once the transaction that freed them is durable.
void Filesystem::make_space(std::function<void()> then) {
    deletions_.when_idle([this, then = std::move(then)] { driver_.commit([then](base::Result<void>) { then(); }); });
}

}  // namespace clusterfs
