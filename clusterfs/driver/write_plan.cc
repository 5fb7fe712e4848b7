#include "clusterfs/driver/write_plan.hh"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/ensure.hh"
#include "clusterfs/driver/block_transfer.hh"

namespace clusterfs {
namespace {

using operations::PartialBlock;
using operations::WritePlan;

class Performer : public std::enable_shared_from_this<Performer> {
  public:
    using Done = std::function<void(base::Result<void>)>;

    Performer(Filesystem& filesystem, operations::InodeReference inode, WritePlan plan, base::ByteView data,
              bool clear_set_ids, Done done)
        : filesystem_(filesystem),
          inode_(inode),
          plan_(std::move(plan)),
          data_(data),
          clear_set_ids_(clear_set_ids),
          done_(std::move(done)) {}

    void start() {
        std::uint64_t count = 0;
        for (const auto& segment : plan_.segments) count += segment.count;
        auto& buffers = filesystem_.driver().buffers();
        if (count > 0) blocks_ = buffers.take(count * block_size);
        if (plan_.before) before_ = buffers.take(block_size);
        fetch_old_bytes();
    }

  private:
    std::shared_ptr<BlockTransfer> transfer_then(void (Performer::*next)()) {
        return BlockTransfer::create(filesystem_.driver().device(),
                                     [self = shared_from_this(), next](base::Result<void> outcome) {
                                         if (!outcome) return self->abandon(outcome.error());
                                         (self.get()->*next)();
                                     });
    }

    void fetch_old_bytes() {
        auto transfer = transfer_then(&Performer::write_blocks);
        for (const auto& partial : plan_.partial) {
            if (partial.needs_old()) fetch(*transfer, partial, image_of(partial.file_block));
        }
        if (plan_.before && plan_.before->valid > 0) fetch(*transfer, *plan_.before, before_.span(0, block_size));
        transfer->finish_starting();
    }

    // Old content is on the device, or it had been inline and came with the plan.
    void fetch(BlockTransfer& transfer, const PartialBlock& partial, base::MutableByteView into) {
        if (plan_.was_inline(partial)) {
            const auto length = std::min<std::size_t>(plan_.inline_content.size(), block_size);
            std::memcpy(into.data(), plan_.inline_content.data(), length);
        } else {
            transfer.read(partial.block * block_size, into);
        }
    }

    base::MutableByteView image_of(std::uint64_t file_block) {
        return blocks_.span((file_block - plan_.segments.front().file_block) * block_size, block_size);
    }

    // The images: new bytes in the middle; around them old ones as far as they are valid, zeros where not.
    void write_blocks() {
        for (const auto& partial : plan_.partial) plan_.clear_old(partial, image_of(partial.file_block));
        if (!plan_.segments.empty()) put_new_bytes();
        if (plan_.before) plan_.clear_old(*plan_.before, before_.span(0, block_size));

        auto transfer = transfer_then(&Performer::make_visible);
        is_stable_ = plan_.replaces_old && filesystem_.driver().reader_follows(inode_.number);
        const auto durability = is_stable_ ? base::Durability::stable : base::Durability::cached;
        for (const auto& segment : plan_.segments) {
            const auto from = (segment.file_block - plan_.segments.front().file_block) * block_size;
            transfer->write(segment.block * block_size, blocks_.span(from, segment.count * block_size), durability);
        }
        if (plan_.before) transfer->write(plan_.before->block * block_size, before_.span(0, block_size));
        transfer->finish_starting();
    }

    void put_new_bytes() {
        const auto skip = plan_.offset - plan_.segments.front().file_block * block_size;
        base::ensure(skip + plan_.length <= blocks_.size(), "a write plan that does not cover its bytes");
        if (plan_.zeros) {
            std::memset(blocks_.data() + skip, 0, plan_.length);
        } else if (plan_.length > 0) {
            base::ensure(plan_.length <= data_.size(), "a write plan for more bytes than there are");
            std::memcpy(blocks_.data() + skip, data_.data(), plan_.length);
        }
    }

    void make_visible() {
        if (!is_stable_) filesystem_.driver().note_data_written(plan_.written(), inode_.number);
        if (plan_.replaces_old) return done_({});
        filesystem_.driver().run(
            [self = shared_from_this()](View& view) {
                return operations::finish_write(view, self->inode_, self->plan_, self->clear_set_ids_);
            },
            [self = shared_from_this()](base::Result<void> outcome) { self->done_(std::move(outcome)); });
    }

    void abandon(const base::Error& error) { abandon_write_plan(filesystem_, inode_, plan_, error, std::move(done_)); }

    Filesystem& filesystem_;
    const operations::InodeReference inode_;
    const WritePlan plan_;
    const base::ByteView data_;
    const bool clear_set_ids_;
    Done done_;
    bool is_stable_ = false;
    IoBuffer blocks_;
    IoBuffer before_;
};

}  // namespace

void perform_write_plan(Filesystem& filesystem, operations::InodeReference inode, WritePlan plan, base::ByteView data,
                        bool clear_set_ids, std::function<void(base::Result<void>)> done) {
    std::make_shared<Performer>(filesystem, inode, std::move(plan), data, clear_set_ids, std::move(done))->start();
}

void abandon_write_plan(Filesystem& filesystem, operations::InodeReference inode, const WritePlan& plan,
                        const base::Error& error, std::function<void(base::Result<void>)> done) {
    filesystem.driver().run(
        [inode, plan](View& view) { return operations::abandon_write(view, inode, plan); },
        [error, done = std::move(done)](const base::Result<void>&) { done(std::unexpected(error)); });
}

void unpin_all(Filesystem& filesystem, const std::vector<LockName>& pins) {
    for (const auto& name : pins) filesystem.driver().unpin(name);
}

}  // namespace clusterfs
