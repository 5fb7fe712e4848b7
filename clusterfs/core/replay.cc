#include "clusterfs/core/replay.hh"

#include <algorithm>
#include <utility>

#include "base/probe.hh"
#include "clusterfs/format/block_seal.hh"

namespace clusterfs {
namespace {

base::Probe probe_replayed("clusterfs: a journal is replayed");
base::Probe probe_read_torn("clusterfs: replay reads a torn block again");
base::Probe probe_older_image("clusterfs: replay leaves a newer block alone");
constexpr std::uint32_t blocks_at_once = 256;
constexpr int most_reads = 4;
}  // namespace

void Replay::run(MountIo& io, const JournalRegion& region, std::uint64_t filesystem_blocks, Ours ours, Done done) {
    const std::shared_ptr<Replay> replay(new Replay(io, region, filesystem_blocks, std::move(ours), std::move(done)));
    replay->read_header();
}

void Replay::read_header() {
    io_.read(region_.first, 1, [self = shared_from_this()](base::Result<MountIo::Blocks> read) {
        if (!read) return self->done_(std::unexpected(read.error()));
        auto state = parse_journal_header(self->region_, *read->front());
        if (!state) return self->done_(std::unexpected(state.error()));
        self->summary_.state = *state;
        self->summary_.was_dirty = state->dirty;
        self->io_.saw_sequence(state->sequence);
        if (!state->dirty) return self->done_(self->summary_);
        self->read_ring();
    });
}

void Replay::read_ring() {
    const auto have = ring_.size();
    if (have == region_.ring_blocks) return collect();
    const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(blocks_at_once, region_.ring_blocks - have));
    io_.read(region_.ring_place(have), count, [self = shared_from_this()](base::Result<MountIo::Blocks> read) {
        if (!read) return self->done_(std::unexpected(read.error()));
        std::move(read->begin(), read->end(), std::back_inserter(self->ring_));
        self->read_ring();
    });
}

void Replay::collect() {
    probe_replayed.hit();
    auto place = summary_.state.tail;
    while (auto record = find_record(region_, ring_, place, summary_.state.epoch, filesystem_blocks_)) {
        if (record->end - summary_.state.tail.offset > region_.ring_blocks) break;
        ++summary_.records;
        io_.saw_sequence(record->sequence);
        for (auto& [number, image] : record->images) images_.insert_or_assign(number, std::move(image));
        place = {record->end, place.record + 1};
    }
    ring_.clear();
    summary_.state.tail = {0, place.record};
    summary_.blocks = images_.size();
    next_ = images_.begin();
    // What the dead node wrote last may be in the disk's cache only: it must not be lost after parts of it are in
    // place.
    io_.flush([self = shared_from_this()](base::Result<void> flushed) {
        if (!flushed) return self->done_(std::unexpected(flushed.error()));
        self->compare_next();
    });
}

// One run of consecutive numbers at a time.
void Replay::compare_next() {
    if (error_) return done_(std::unexpected(*error_));
    while (next_ != images_.end() && ours_(next_->first)) ++next_;
    if (next_ == images_.end()) return finish();
    const auto first = next_->first;
    std::uint32_t count = 0;
    while (next_ != images_.end() && next_->first == first + count && count < blocks_at_once && !ours_(next_->first)) {
        ++next_;
        ++count;
    }
    read_run(first, count, most_reads);
}

// A block that a living node writes just now may be read in part: it has it because the dead one gave it back in place,
// and an image from the journal must not go over it. What stays damaged was torn by the dead node.
void Replay::read_run(BlockNumber first, std::uint32_t count, int reads) {
    io_.read(first, count, [self = shared_from_this(), first, count, reads](base::Result<MountIo::Blocks> read) {
        if (!read) return self->done_(std::unexpected(read.error()));
        if (reads > 1 && self->may_be_torn(first, *read)) {
            probe_read_torn.hit();
            return self->read_run(first, count, reads - 1);
        }
        self->compare(first, *read);
    });
}

bool Replay::may_be_torn(BlockNumber first, const MountIo::Blocks& on_disk) const {
    for (std::size_t i = 0; i < on_disk.size(); ++i) {
        if (check(on_disk[i]->bytes, first + i, region_.filesystem) == BlockFault::bad_checksum) return true;
    }
    return false;
}

void Replay::compare(BlockNumber first, const MountIo::Blocks& on_disk) {
    std::vector<std::shared_ptr<Block>> newer;
    for (std::size_t i = 0; i < on_disk.size(); ++i) {
        if (ours_(first + i)) continue;  // meanwhile
        const auto& image = images_.at(first + i);
        const auto fault = check(on_disk[i]->bytes, first + i, region_.filesystem);
        const auto sequence = on_disk[i]->as<BlockHeader>().sequence;
        if (fault == BlockFault::none) io_.saw_sequence(sequence);
        if (fault == BlockFault::none && sequence > image->as<BlockHeader>().sequence) probe_older_image.hit();
        if (fault != BlockFault::none || sequence < image->as<BlockHeader>().sequence) newer.push_back(image);
    }
    write_newer(std::move(newer));
}

void Replay::write_newer(std::vector<std::shared_ptr<Block>> newer) {
    summary_.written += newer.size();
    writes_ = 1;  // this function's own share, so that it ends once
    const auto one_done = [self = shared_from_this()](base::Result<void> outcome) {
        if (!outcome) self->error_ = outcome.error();
        if (--self->writes_ == 0) self->compare_next();
    };
    for (std::size_t i = 0; i < newer.size();) {
        const auto first = newer[i]->as<BlockHeader>().number;
        std::vector<BlockHandle> run;
        while (i < newer.size() && newer[i]->as<BlockHeader>().number == first + run.size()) run.push_back(newer[i++]);
        ++writes_;
        io_.write(first, std::move(run), false, one_done);
    }
    one_done({});
}

void Replay::finish() {
    images_.clear();
    io_.flush([self = shared_from_this()](base::Result<void> flushed) {
        if (!flushed) return self->done_(std::unexpected(flushed.error()));
        auto& state = self->summary_.state;
        state.dirty = false;
        ++state.epoch;
        state.sequence = self->io_.clock();
        self->io_.write(self->region_.first, {build_journal_header(self->region_, state)}, true,
                        [self](base::Result<void> written) {
                            if (!written) return self->done_(std::unexpected(written.error()));
                            self->done_(self->summary_);
                        });
    });
}

}  // namespace clusterfs
