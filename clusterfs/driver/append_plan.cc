#include "clusterfs/driver/append_plan.hh"

#include <optional>
#include <utility>

#include "clusterfs/driver/write_plan.hh"

namespace clusterfs {
namespace {

using operations::WritePlan;

bool is_small(const WritePlan& plan) { return plan.length < block_size; }

class Append : public std::enable_shared_from_this<Append> {
  public:
    using Done = std::function<void(base::Result<void>)>;

    Append(Filesystem& filesystem, AppendRequest request, Done done)
        : filesystem_(filesystem), request_(std::move(request)), done_(std::move(done)) {}

    void start() { is_small(plan()) ? append_to_tail() : put_blocks(); }

  private:
    AppendedData& appended() { return filesystem_.driver().appended(); }
    const WritePlan& plan() const { return request_.plan; }

    // ---- a small piece (driver/dirty_tails) ----

    TailAppend pieces() const {
        TailAppend pieces{request_.inode, request_.tenure, {}};
        const auto bytes = request_.buffer->span(request_.skip, plan().length);
        for (const auto& partial : plan().partial) {
            const auto from = partial.file_block * block_size + partial.begin - plan().offset;
            pieces.parts.push_back({partial.block, partial.begin, bytes.subspan(from, partial.end - partial.begin)});
        }
        return pieces;
    }

    void append_to_tail() {
        if (appended().tails().append(pieces())) return make_visible();
        const auto then = [self = shared_from_this()](const base::Result<void>& cleared) {
            cleared ? self->fetch_image() : self->abandon(cleared.error());
        };
        const auto inode = request_.inode.number;
        // What is under way may be what the first block holds until now.
        plan().partial.front().needs_old() ? appended().clear(inode, then) : appended().tails().clear(inode, then);
    }

    void fetch_image() {
        const auto& first = plan().partial.front();
        image_ = filesystem_.driver().buffers().take(block_size);
        if (!first.needs_old()) {
            plan().clear_old(first, image_.span(0, block_size));
            return start_tail();
        }
        filesystem_.driver().device().read(first.block * block_size, image_.span(0, block_size),
                                           [self = shared_from_this()](const base::Result<void>& outcome) {
                                               outcome ? self->start_tail() : self->abandon(outcome.error());
                                           });
    }

    void start_tail() {
        appended().tails().start(pieces(), std::move(image_));
        make_visible();
    }

    // ---- blocks that are all new; behind the last byte there are zeros (driver/blocks_under_way) ----

    void put_blocks() {
        BlocksUnderWay::Write write{request_.inode.number, {}, buffer()};
        const auto* from =
            write.buffer == request_.buffer ? write.buffer->data() + request_.skip : write.buffer->data();
        for (const auto& segment : plan().segments) {
            const auto length = segment.count * block_size;
            write.pieces.push_back({segment.block * block_size, {from, length}});
            from += length;
        }
        appended().blocks().write(std::move(write),
                                  [self = shared_from_this()](const base::Result<BlocksUnderWay::Id>& started) {
                                      if (!started) return self->abandon(started.error());
                                      self->write_ = *started;
                                      self->make_visible();
                                  });
    }

    // One that a device takes the plan's blocks from.
    std::shared_ptr<const IoBuffer> buffer() const {
        if (request_.skip % block_size == 0) return request_.buffer;
        return filesystem_.driver().buffers().copy(request_.buffer->span(request_.skip, plan().length));
    }

    // ---- and then ----

    // In this order: whoever commits the inode as it will be finds that data was written, and then the data.
    void make_visible() {
        filesystem_.driver().note_data_written(FileData::becomes_visible, request_.inode.number);
        filesystem_.run(
            [self = shared_from_this()](View& view) {
                return operations::finish_write(view, self->request_.inode, self->plan(), self->request_.clear_set_ids);
            },
            [self = shared_from_this()](const base::Result<void>& outcome) { self->on_visible(outcome); });
    }

    // The caller keeps the lock until nothing is here that a commit would not find.
    void on_visible(const base::Result<void>& outcome) {
        if (!outcome) return take_back(outcome.error());
        const auto inode = request_.inode.number;
        if (!appended().tails().is_much(inode)) return done_({});
        appended().clear(inode,
                         [self = shared_from_this()](const base::Result<void>& cleared) { self->done_(cleared); });
    }

    // The file does not have it, and will not.
    void take_back(const base::Error& error) {
        const auto then = [self = shared_from_this(), error] {
            self->appended().clear(self->request_.inode.number,
                                   [self, error](const base::Result<void>&) { self->done_(std::unexpected(error)); });
        };
        write_ ? appended().blocks().discard(*write_, then) : then();
    }

    void abandon(const base::Error& error) {
        abandon_write_plan(filesystem_, request_.inode, plan(), error, std::move(done_));
    }

    Filesystem& filesystem_;
    const AppendRequest request_;
    Done done_;
    IoBuffer image_;
    std::optional<BlocksUnderWay::Id> write_;
};

}  // namespace

// A larger piece behind old bytes of its first block is written at once, as whole as possible.
bool is_append(const WritePlan& plan) {
    return plan.appends && (is_small(plan) || plan.partial.empty() || plan.partial.front().begin == 0);
}

void perform_append(Filesystem& filesystem, AppendRequest request, std::function<void(base::Result<void>)> done) {
    std::make_shared<Append>(filesystem, std::move(request), std::move(done))->start();
}

}  // namespace clusterfs
