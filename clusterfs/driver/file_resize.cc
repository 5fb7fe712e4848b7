#include "clusterfs/driver/file_resize.hh"

#include <limits>
#include <utility>

#include "clusterfs/driver/write_plan.hh"

namespace clusterfs {
namespace {

using operations::InodeReference;
using operations::ResizeStep;

constexpr std::uint64_t to_the_end = std::numeric_limits<std::uint64_t>::max();

// One such operation under way. Owned by the callbacks that it waits for.
class Resize : public std::enable_shared_from_this<Resize> {
  public:
    using Step = std::function<base::Result<ResizeStep>(View&, unsigned zeroed, bool shortened)>;

    // What lies in [changed, changed + length) may read otherwise afterwards.
    Resize(Filesystem& filesystem, std::shared_ptr<OpenInode> shared, InodeReference inode, std::uint64_t changed,
           std::uint64_t length, Step step, Resized done)
        : filesystem_(filesystem),
          shared_(std::move(shared)),
          inode_(inode),
          changed_(changed),
          length_(length),
          step_(std::move(step)),
          done_(std::move(done)) {}

    void start() {
        shared_->enter([self = shared_from_this()] {
            self->filesystem_.driver().appended().clear(self->inode_.number, [self](const base::Result<void>& outcome) {
                outcome ? self->run_step() : self->finish(std::unexpected(outcome.error()));
            });
        });
    }

  private:
    struct Outcome {
        bool reads_in_flight = false;
        ResizeStep step;
    };

    // A step may free blocks: it is not taken while reads are on their way to them.
    void run_step() {
        filesystem_.run(
            [self = shared_from_this()](View& view) -> base::Result<Outcome> {
                Outcome outcome;
                if (self->shared_->reads_in_flight()) {
                    outcome.reads_in_flight = true;
                    return outcome;
                }
                BASE_ASSIGN(outcome.step, self->step_(view, self->zeroed_, self->shortened_));
                return outcome;
            },
            [self = shared_from_this()](base::Result<Outcome> outcome) { self->on_step(std::move(outcome)); });
    }

    void on_step(base::Result<Outcome> outcome) {
        if (outcome && outcome->reads_in_flight) {
            if (!std::exchange(holds_reads_, true)) shared_->hold_reads();
            return shared_->when_no_reads([self = shared_from_this()] { self->run_step(); });
        }
        unpin_all(filesystem_, std::exchange(pins_, {}));
        if (!outcome) return finish(std::unexpected(outcome.error()));
        if (outcome->step.work) return work(*std::move(outcome->step.work));
        if (outcome->step.done) return finish(outcome->step.attributes);
        shortened_ = shortened_ || outcome->step.shortened;
        run_step();
    }

    void work(operations::WritePlan plan) {
        pins_ = plan.pins;
        perform_write_plan(filesystem_, inode_, std::move(plan), {}, false,
                           [self = shared_from_this()](const base::Result<void>& outcome) {
                               if (!outcome) return self->fail(outcome.error());
                               ++self->zeroed_;
                               self->run_step();
                           });
    }

    void fail(const base::Error& error) {
        unpin_all(filesystem_, std::exchange(pins_, {}));
        finish(std::unexpected(error));
    }

    // The kernel drops its pages itself, but does not wait for what it was told before.
    void finish(base::Result<operations::Attributes> outcome) {
        const bool stale = shared_->take_cached(changed_, length_);
        if (holds_reads_) shared_->let_reads_go();
        shared_->leave();
        if (!stale) return done_(std::move(outcome));
        filesystem_.drop_pages(inode_.number, changed_, length_ == to_the_end ? 0 : length_,
                               [self = shared_from_this(), outcome = std::move(outcome)] { self->done_(outcome); });
    }

    Filesystem& filesystem_;
    std::shared_ptr<OpenInode> shared_;
    const InodeReference inode_;
    const std::uint64_t changed_;
    const std::uint64_t length_;
    Step step_;
    Resized done_;
    unsigned zeroed_ = 0;
    bool shortened_ = false;
    bool holds_reads_ = false;
    std::vector<LockName> pins_;  // of the work that the next step follows
};

}  // namespace

void resize_file(Filesystem& filesystem, std::shared_ptr<OpenInode> shared, InodeReference inode, std::uint64_t size,
                 bool clear_set_ids, Resized done) {
    auto step = [inode, size, clear_set_ids](View& view, unsigned zeroed, bool shortened) {
        return operations::resize(view, inode, size, clear_set_ids, zeroed, shortened);
    };
    std::make_shared<Resize>(filesystem, std::move(shared), inode, size, to_the_end, std::move(step), std::move(done))
        ->start();
}

void preallocate_file(Filesystem& filesystem, std::shared_ptr<OpenInode> shared, InodeReference inode,
                      std::uint64_t offset, std::uint64_t length, operations::Preallocation mode, Resized done) {
    auto step = [inode, offset, length, mode](View& view, unsigned zeroed, bool) {
        return operations::preallocate(view, inode, offset, length, mode, zeroed);
    };
    std::make_shared<Resize>(filesystem, std::move(shared), inode, 0, 0, std::move(step), std::move(done))->start();
}

void punch_hole_in_file(Filesystem& filesystem, std::shared_ptr<OpenInode> shared, InodeReference inode,
                        std::uint64_t offset, std::uint64_t length, Resized done) {
    auto step = [inode, offset, length](View& view, unsigned zeroed, bool) {
        return operations::punch_hole(view, inode, offset, length, zeroed);
    };
    std::make_shared<Resize>(filesystem, std::move(shared), inode, offset, length, std::move(step), std::move(done))
        ->start();
}

}  // namespace clusterfs
