#include "clusterfs/driver/file_write.hh"

#include <utility>

#include "clusterfs/driver/append_plan.hh"
#include "clusterfs/driver/write_plan.hh"

namespace clusterfs {
namespace {

using operations::WritePlan;

class FileWrite : public std::enable_shared_from_this<FileWrite> {
  public:
    FileWrite(Filesystem& filesystem, FileWriteRequest request, WriteDone done)
        : filesystem_(filesystem), request_(std::move(request)), done_(std::move(done)) {}

    void start() {
        if (request_.buffered) request_.shared->begin_buffered_write();
        request_.shared->enter([self = shared_from_this()] { self->plan_next(); });
    }

  private:
    void plan_next() {
        filesystem_.run(
            [self = shared_from_this()](View& view) {
                auto& driver = self->filesystem_.driver();
                self->tenure_ = driver.tenure(self->request_.inode.number);
                auto plan = operations::begin_write(view, self->remaining());
                // The kernel keeps what is written.
                if (plan && self->request_.buffered) driver.note_read_served(self->request_.inode.number);
                return plan;
            },
            [self = shared_from_this()](base::Result<WritePlan> plan) { self->on_plan(std::move(plan)); });
    }

    operations::WriteRequest remaining() const {
        operations::WriteRequest rest;
        rest.inode = request_.inode;
        rest.offset = request_.offset + written_;
        rest.append = request_.append;
        rest.clear_set_ids = request_.clear_set_ids;
        rest.data = request_.data->span(written_, request_.data->size() - written_);
        return rest;
    }

    void on_plan(base::Result<WritePlan> plan) {
        if (!plan) return finish(std::unexpected(plan.error()));
        if (plan->again) return plan_next();
        if (written_ == 0) first_offset_ = plan->offset;
        if (plan->done) return advance(plan->length);
        plan_ = *std::move(plan);
        if (is_append(plan_)) return append();
        filesystem_.driver().appended().clear(request_.inode.number,
                                              [self = shared_from_this()](const base::Result<void>& cleared) {
                                                  cleared ? self->perform() : self->abandon(cleared.error());
                                              });
    }

    void append() {
        perform_append(filesystem_, {request_.inode, plan_, tenure_, request_.data, written_, request_.clear_set_ids},
                       [self = shared_from_this()](const base::Result<void>& outcome) { self->end_plan(outcome); });
    }

    void perform() {
        perform_write_plan(filesystem_, request_.inode, plan_, remaining().data, request_.clear_set_ids,
                           [self = shared_from_this()](const base::Result<void>& outcome) { self->end_plan(outcome); });
    }

    void abandon(const base::Error& error) {
        abandon_write_plan(filesystem_, request_.inode, plan_, error,
                           [self = shared_from_this()](const base::Result<void>& outcome) { self->end_plan(outcome); });
    }

    void end_plan(const base::Result<void>& outcome) {
        unpin_all(filesystem_, plan_.pins);
        if (!outcome) return finish(std::unexpected(outcome.error()));
        advance(plan_.length);
    }

    void advance(std::uint64_t length) {
        written_ += length;
        if (written_ < request_.data->size()) return plan_next();
        finish({});
    }

    void finish(base::Result<void> outcome) {
        if (!outcome && written_ == 0) return answer(std::unexpected(outcome.error()));
        if (!request_.stable) return answer(written_);
        filesystem_.driver().commit([self = shared_from_this()](const base::Result<void>& committed) {
            if (!committed) return self->answer(std::unexpected(committed.error()));
            self->answer(self->written_);
        });
    }

    // The kernel has put the bytes where it believed the end of the file to be, or more of them than were written.
    void answer_buffered(const base::Result<std::uint64_t>& outcome) {
        const bool as_believed = outcome && *outcome == request_.data->size() && first_offset_ == request_.offset;
        if (!as_believed) request_.shared->note_stale_pages();
        request_.shared->leave();
        done_(outcome);
        if (request_.shared->end_buffered_write()) filesystem_.drop_pages(request_.inode.number, 0, 0, [] {});
    }

    // Pages that another file description of this node has read are of before. So may they be after an error, too.
    void answer(base::Result<std::uint64_t> outcome) {
        if (request_.buffered) return answer_buffered(outcome);
        const auto length = request_.data->size();
        const bool stale = request_.shared->take_cached(first_offset_, length);
        request_.shared->leave();
        if (!stale) return done_(std::move(outcome));
        filesystem_.drop_pages(request_.inode.number, first_offset_, length,
                               [self = shared_from_this(), outcome = std::move(outcome)] { self->done_(outcome); });
    }

    Filesystem& filesystem_;
    FileWriteRequest request_;
    WriteDone done_;
    std::uint64_t written_ = 0;
    std::uint64_t first_offset_ = 0;
    std::uint64_t tenure_ = 0;  // of the inode's lock, when the plan was made
    WritePlan plan_;
};

}  // namespace

void write_file(Filesystem& filesystem, FileWriteRequest request, WriteDone done) {
    std::make_shared<FileWrite>(filesystem, std::move(request), std::move(done))->start();
}

}  // namespace clusterfs
