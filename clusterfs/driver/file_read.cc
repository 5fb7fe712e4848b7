#include "clusterfs/driver/file_read.hh"

#include <cstring>
#include <utility>

#include "clusterfs/driver/block_transfer.hh"
#include "clusterfs/driver/write_plan.hh"

namespace clusterfs {
namespace {

using operations::ReadPlan;
using operations::ReadSegment;

constexpr std::uint64_t round_down(std::uint64_t offset) { return offset / block_size * block_size; }
constexpr std::uint64_t round_up(std::uint64_t offset) { return round_down(offset + block_size - 1); }

class FileRead : public std::enable_shared_from_this<FileRead> {
  public:
    FileRead(Filesystem& filesystem, std::shared_ptr<OpenInode> shared, operations::InodeReference inode,
             std::uint64_t offset, bool cached, ReadDone done)
        : filesystem_(filesystem),
          shared_(std::move(shared)),
          inode_(inode),
          offset_(offset),
          cached_(cached),
          done_(std::move(done)) {}

    void start(std::uint64_t length) {
        if (cached_ || !shared_->keep_back([self = shared_from_this(), length] { self->plan(length); })) plan(length);
    }

  private:
    void plan(std::uint64_t length) {
        filesystem_.run([self = shared_from_this(), length](View& view) { return self->plan_read(view, length); },
                        [self = shared_from_this()](base::Result<ReadPlan> plan) { self->on_plan(std::move(plan)); });
    }

    // What the kernel will keep is said here, under the lock: whoever asks for the lock from now on, or writes on this
    // node, has the kernel forget, which waits for our answer. The pin is the last thing that can be missing: said
    // once.
    base::Result<ReadPlan> plan_read(View& view, std::uint64_t length) {
        const auto pin = cached_ ? operations::PinRead::always : operations::PinRead::for_the_device;
        BASE_ASSIGN(auto plan, operations::begin_read(view, inode_, offset_, length, pin));
        if (!plan.pins.empty()) shared_->begin_read();
        if (cached_) {
            filesystem_.driver().note_read_served(inode_.number);
            shared_->note_cached(offset_, length);
        }
        return plan;
    }

    void on_plan(base::Result<ReadPlan> plan) {
        if (!plan) return done_(std::unexpected(plan.error()));
        plan_ = *std::move(plan);
        if (plan_.is_inline) return finish(base::ByteView(plan_.inline_data));
        if (plan_.length == 0) return finish(base::ByteView());
        filesystem_.driver().appended().write_out(
            inode_.number,
            [self = shared_from_this()](const base::Result<void>& outcome) { self->on_written_out(outcome); });
    }

    void on_written_out(const base::Result<void>& written) {
        if (!written) return finish(std::unexpected(written.error()));
        base_ = round_down(offset_);
        buffer_ = filesystem_.driver().buffers().take(round_up(offset_ + plan_.length) - base_);
        auto transfer =
            BlockTransfer::create(filesystem_.driver().device(),
                                  [self = shared_from_this()](const base::Result<void>& read) { self->on_data(read); });
        for (const auto& segment : plan_.segments) fetch(*transfer, segment);
        transfer->finish_starting();
    }

    void fetch(BlockTransfer& transfer, const ReadSegment& segment) {
        const auto begin = round_down(segment.offset) - base_;
        const auto end = round_up(segment.offset + segment.length) - base_;
        if (segment.block == 0) {
            std::memset(buffer_.data() + begin, 0, end - begin);
        } else {
            transfer.read(segment.block * block_size, buffer_.span(begin, end - begin));
        }
    }

    void on_data(const base::Result<void>& outcome) {
        if (!outcome) return finish(std::unexpected(outcome.error()));
        finish(base::ByteView(buffer_.span(offset_ - base_, plan_.length)));
    }

    // Blocks may be freed, and the lock given back, only when the kernel has what we read.
    void finish(const base::Result<base::ByteView>& bytes) {
        done_(bytes);
        if (plan_.pins.empty()) return;
        shared_->end_read();
        unpin_all(filesystem_, plan_.pins);
    }

    Filesystem& filesystem_;
    std::shared_ptr<OpenInode> shared_;
    const operations::InodeReference inode_;
    const std::uint64_t offset_;
    const bool cached_;
    ReadDone done_;
    ReadPlan plan_;
    std::uint64_t base_ = 0;
    IoBuffer buffer_;
};

}  // namespace

void read_file(Filesystem& filesystem, std::shared_ptr<OpenInode> shared, operations::InodeReference inode,
               std::uint64_t offset, std::uint64_t length, bool cached, ReadDone done) {
    std::make_shared<FileRead>(filesystem, std::move(shared), inode, offset, cached, std::move(done))->start(length);
}

}  // namespace clusterfs
