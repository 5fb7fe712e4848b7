#include "tests/unit/clusterfs_driver/rig.hh"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "base/ensure.hh"
#include "clusterfs/core/format_filesystem.hh"
#include "clusterfs/core/operations/names.hh"

namespace clusterfs::test {
namespace {

constexpr std::uint64_t device_blocks = 8192;

class Formatted : public SynchronousDevice {
  public:
    Formatted() : content(device_blocks) {}
    std::uint64_t block_count() const override { return content.size(); }
    base::Result<void> read(BlockNumber first, std::span<Block> into) override {
        std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(first), into.size(), into.begin());
        return {};
    }
    base::Result<void> write(BlockNumber first, std::span<const Block> from) override {
        std::ranges::copy(from, content.begin() + static_cast<std::ptrdiff_t>(first));
        return {};
    }
    base::Result<void> flush() override { return {}; }

    std::vector<Block> content;
};

std::vector<Block> formatted() {
    Formatted device;
    FormatOptions options;
    options.uuid.bytes[0] = std::byte{7};
    options.journal_blocks = 1024;
    const auto made = format_filesystem(device, options);
    base::ensure(made.has_value(), "mkfs");
    return std::move(device.content);
}

base::NodeIncarnation self() {
    base::NodeIncarnation node;
    node.node.value = 1;
    return node;
}

MountOptions mount_options(base::Duration minimum_hold) {
    MountOptions options;
    options.self = self();
    options.minimum_hold = minimum_hold;
    return options;
}

}  // namespace

void MemoryDevice::read(std::uint64_t offset, base::MutableByteView into, Completion done) {
    auto work = [this, offset, into, done = std::move(done)] {
        {
            const std::lock_guard lock(mutex_);
            for (std::size_t at = 0; at < into.size(); at += block_size) {
                std::memcpy(into.data() + at, content_.at((offset + at) / block_size).bytes.data(), block_size);
            }
        }
        done({});
    };
    {
        const std::lock_guard lock(mutex_);
        if (frozen_) return held_.push_back(std::move(work));
    }
    loop_.post(std::move(work));
}

void MemoryDevice::write(std::uint64_t offset, base::ByteView from, base::Durability durability, Completion done) {
    if (refuses > 0 && refuses-- > 0) {
        loop_.post([done = std::move(done)] { done(base::failure(std::errc::io_error)); });
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        if (writes_frozen_) {
            return held_writes_.push_back([this, offset, from, durability, done = std::move(done)]() mutable {
                write(offset, from, durability, std::move(done));
            });
        }
        ++writes_;
        for (std::size_t at = 0; at < from.size(); at += block_size) {
            std::memcpy(content_.at((offset + at) / block_size).bytes.data(), from.data() + at, block_size);
            written_[(offset + at) / block_size] = durability;
        }
    }
    flush(std::move(done));
}

void MemoryDevice::flush(Completion done) {
    loop_.post([done = std::move(done)] { done({}); });
}

void MemoryDevice::discard(std::uint64_t, std::uint64_t, Completion done) { flush(std::move(done)); }

bool MemoryDevice::holds_stable(const std::string& bytes) const {
    const auto block = block_that_holds(bytes);
    const std::lock_guard lock(mutex_);
    return block != 0 && written_.at(block) == base::Durability::stable;
}

void MemoryDevice::freeze_reads() {
    const std::lock_guard lock(mutex_);
    frozen_ = true;
}

std::size_t MemoryDevice::held_reads() const {
    const std::lock_guard lock(mutex_);
    return held_.size();
}

void MemoryDevice::thaw_reads() {
    const std::lock_guard lock(mutex_);
    frozen_ = false;
    for (auto& work : std::exchange(held_, {})) loop_.post(std::move(work));
}

void MemoryDevice::freeze_writes() {
    const std::lock_guard lock(mutex_);
    writes_frozen_ = true;
}

void MemoryDevice::thaw_writes() {
    std::vector<std::function<void()>> held;
    {
        const std::lock_guard lock(mutex_);
        writes_frozen_ = false;
        held.swap(held_writes_);
    }
    for (auto& work : held) work();
}

std::size_t MemoryDevice::writes() const {
    const std::lock_guard lock(mutex_);
    return writes_;
}

BlockNumber MemoryDevice::block_that_holds(const std::string& bytes) const {
    const std::lock_guard lock(mutex_);
    for (BlockNumber number = 0; number < content_.size(); ++number) {
        const auto& block = content_[number].bytes;
        const std::string_view text(reinterpret_cast<const char*>(block.data()), block.size());
        if (text.find(bytes) != std::string_view::npos) return number;
    }
    return 0;
}

void MemoryDevice::patch(BlockNumber block, const std::string& old, const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    auto& content = content_.at(block).bytes;
    const std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
    std::memcpy(content.data() + text.find(old), bytes.data(), bytes.size());
}

void TestLocks::start(Callbacks callbacks) {
    callbacks_ = callbacks;
    LocalLocks::start(std::move(callbacks));
}

LockService::Answer TestLocks::try_request(LockName name, LockMode mode, bool no_queue, bool recovery) {
    {
        const std::lock_guard lock(mutex_);
        if (withheld_ == name && mode == LockMode::exclusive) {
            asked_ = true;
            return Answer::later;
        }
    }
    return LocalLocks::try_request(name, mode, no_queue, recovery);
}

void TestLocks::withhold(const LockName& name) {
    const std::lock_guard lock(mutex_);
    withheld_ = name;
}

bool TestLocks::is_asked_for(const LockName& name) const {
    const std::lock_guard lock(mutex_);
    return asked_ && withheld_ == name;
}

void TestLocks::refuse(const LockName& name) {
    {
        const std::lock_guard lock(mutex_);
        asked_ = false;
    }
    callbacks_.refused(name);
}

void TestLocks::grant(const LockName& name) {
    {
        const std::lock_guard lock(mutex_);
        withheld_.reset();
        asked_ = false;
    }
    callbacks_.granted(name, LockMode::exclusive);
}

void TestLocks::release(LockName name, LockMode) {
    const std::lock_guard lock(mutex_);
    released_.push_back(name);
}

bool TestLocks::released(const LockName& name) const {
    const std::lock_guard lock(mutex_);
    return std::ranges::find(released_, name) != released_.end();
}

void TestLocks::forget_releases() {
    const std::lock_guard lock(mutex_);
    released_.clear();
}

bool TestKernel::invalidate_inode(std::uint64_t node_id, std::uint64_t offset, std::uint64_t length) {
    if (ignorant > 0) return --ignorant < 0;
    std::function<void()> before;
    {
        const std::lock_guard lock(mutex_);
        before = before_;
    }
    if (before) before();
    const std::lock_guard lock(mutex_);
    invalidations_.push_back({node_id, offset, length});
    return true;
}

void TestKernel::before_it_forgets(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    before_ = std::move(work);
}

std::vector<TestKernel::Invalidation> TestKernel::invalidations() const {
    const std::lock_guard lock(mutex_);
    return invalidations_;
}

Rig::Rig(FilesystemOptions options, base::Duration minimum_hold)
    : device_(loop_, formatted()),
      locks_(loop_),
      advisory_(loop_, nullptr, self()),
      driver_(mount_options(minimum_hold), device_, locks_, loop_),
      filesystem_(driver_, advisory_, options) {
    base::ensure(advisory_.start("none", {}).has_value(), "advisory locks");
    MountDriver::Callbacks callbacks;
    callbacks.started = [this] { started_ = true; };
    callbacks.stopped = [this](const base::Result<void>&) { stopped_ = true; };
    callbacks.forget_in_kernel = [this](InodeNumber inode, bool is_directory, const std::function<void()>& done) {
        filesystem_.forget_in_kernel(inode, is_directory, done);
    };
    filesystem_.set_notifier(&kernel_);
    thread_ = std::thread([this] { loop_.run(); });
    driver_.start(std::move(callbacks));
    base::ensure(comes_true([this] { return started_.load(); }), "the mount starts");
}

Rig::~Rig() {
    filesystem_.set_notifier(nullptr);
    driver_.stop();
    base::ensure(comes_true([this] { return stopped_.load(); }), "the mount stops");
    loop_.stop();
    thread_.join();
}

operations::InodeReference Rig::make_file(const std::string& name, const std::string& content) {
    const operations::InodeReference root{driver_.superblock().root_inode, 0};
    std::optional<operations::InodeReference> made;
    std::atomic<bool> done = false;
    filesystem_.run(
        [&](View& view) -> base::Result<operations::Attributes> {
            BASE_ASSIGN(const auto created, operations::create_and_open(view, root, name, {0644, 0, {}}, true));
            filesystem_.hand_out(created.attributes);
            return created.attributes;
        },
        [&](const base::Result<operations::Attributes>& attributes) {
            base::ensure(attributes.has_value(), "a file is made");
            made = {attributes->inode, attributes->generation};
            done = true;
        });
    base::ensure(comes_true([&] { return done.load(); }), "a file is made");
    if (!content.empty()) write(*made, 0, content);
    return *made;
}

std::shared_ptr<OpenInode> Rig::open_inode(operations::InodeReference inode) {
    return filesystem_.open_inodes().get(inode.number);
}

void Rig::write(operations::InodeReference inode, std::uint64_t offset, const std::string& bytes) {
    std::atomic<bool> done = false;
    begin_write(inode, offset, bytes, [&](const base::Result<std::uint64_t>& written) {
        base::ensure(written && *written == bytes.size(), "it is written");
        done = true;
    });
    base::ensure(comes_true([&] { return done.load(); }), "it is written");
}

void Rig::begin_buffered_write(operations::InodeReference inode, std::uint64_t offset, const std::string& bytes,
                               WriteDone done) {
    begin_write(inode, offset, bytes, std::move(done), true);
}

void Rig::begin_write(operations::InodeReference inode, std::uint64_t offset, const std::string& bytes, WriteDone done,
                      bool buffered) {
    FileWriteRequest request;
    request.shared = open_inode(inode);
    request.inode = inode;
    request.offset = offset;
    request.buffered = buffered;
    request.data = driver_.buffers().copy(base::as_bytes(bytes));
    write_file(filesystem_, std::move(request), std::move(done));
}

bool Rig::comes_true(const std::function<bool()>& condition) {
    for (int i = 0; i < 10000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

}  // namespace clusterfs::test
