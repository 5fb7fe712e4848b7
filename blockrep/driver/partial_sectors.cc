#include "blockrep/driver/partial_sectors.hh"

#include <cstring>
#include <utility>

#include "base/aligned_buffer.hh"
#include "blockrep/driver/disk.hh"

namespace blockrep {
namespace {

// The bytes of `payload`, which belongs to `range`, that lie in `sector`.
void put(const Range& range, const Payload& payload, const Range& sector, std::byte* sector_bytes) {
    const auto common = range.intersection(sector);
    auto* const to = sector_bytes + (common.offset - sector.offset);
    if (payload.is_zeros()) {
        std::memset(to, 0, common.length);
    } else {
        std::memcpy(to, payload.data + (common.offset - range.offset), common.length);
    }
}

std::byte* bytes_of(const Payload& payload) { return const_cast<std::byte*>(payload.data); }

}  // namespace

Range PartialSectors::sectors_of(const Range& range) const {
    const auto from = range.offset / sector_size_ * sector_size_;
    const auto to = (range.end() + sector_size_ - 1) / sector_size_ * sector_size_;
    return {from, to - from};
}

void PartialSectors::read(const Range& range, const ReadBuffer& into, Done done) {
    const auto whole = sectors_of(range);
    const auto memory = std::make_shared<base::AlignedBuffer>(whole.length);
    ++unanswered_;
    disk_.read(whole, {memory, memory->bytes().data()},
               [this, range, whole, memory, into, done = std::move(done)](const base::Result<void>& outcome) {
                   --unanswered_;
                   if (outcome) {
                       std::memcpy(into.data, memory->bytes().data() + (range.offset - whole.offset), range.length);
                   }
                   done(outcome);
               });
}

void PartialSectors::write(const Range& range, const Payload& payload, bool stable, Done done) {
    ++unanswered_;
    Job job;
    job.range = range;
    job.payload = payload;
    job.stable = stable;
    job.done = std::move(done);
    jobs_.push_back(std::move(job));
    if (jobs_.size() == 1) start_first();
}

void PartialSectors::start_first() {
    split(jobs_.front());
    read_partial_sectors();
}

// The first and the last sector where they are covered in part, and whole ones between them.
void PartialSectors::split(Job& job) const {
    const auto covering = sectors_of(job.range);
    const Range first{covering.offset, sector_size_};
    const Range last{covering.end() - sector_size_, sector_size_};
    Range middle = covering;
    const auto add_partial = [&](const Range& sector) {
        const auto memory = std::make_shared<base::AlignedBuffer>(sector.length);
        job.pieces.push_back({sector, {memory, memory->bytes().data(), sector.length}});
    };
    if (!job.range.contains(first)) {
        add_partial(first);
        middle = {middle.offset + sector_size_, middle.length - sector_size_};
    }
    if (!job.range.contains(last) && !middle.empty()) {
        add_partial(last);
        middle.length -= sector_size_;
    }
    if (middle.empty()) return;
    if (job.payload.is_zeros()) return job.pieces.push_back({middle, {nullptr, nullptr, middle.length}});
    const auto memory = std::make_shared<base::AlignedBuffer>(middle.length);
    put(job.range, job.payload, middle, memory->bytes().data());
    job.pieces.push_back({middle, {memory, memory->bytes().data(), middle.length}});
}

void PartialSectors::read_partial_sectors() {
    auto& job = jobs_.front();
    for (const auto& piece : job.pieces) {
        if (job.range.contains(piece.range)) continue;
        ++job.running;
        disk_.read(piece.range, {std::const_pointer_cast<void>(piece.payload.owner), bytes_of(piece.payload)},
                   joined(&PartialSectors::write_pieces));
    }
    if (job.running == 0) write_pieces();  // whole sectors, only their memory was not aligned
}

void PartialSectors::write_pieces() {
    auto& job = jobs_.front();
    for (const auto& piece : job.pieces) {
        if (!job.range.contains(piece.range)) put(job.range, job.payload, piece.range, bytes_of(piece.payload));
        ++job.running;
        disk_.write(piece.range, piece.payload, job.stable, joined(&PartialSectors::end_first));
    }
}

PartialSectors::Done PartialSectors::joined(void (PartialSectors::*next)()) {
    return [this, next](const base::Result<void>& outcome) {
        auto& job = jobs_.front();
        if (!outcome) job.outcome = outcome;
        if (--job.running > 0) return;
        job.outcome ? (this->*next)() : end_first();
    };
}

void PartialSectors::end_first() {
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    if (job.outcome) {
        if (!jobs_.empty()) start_first();
        return end(std::move(job));
    }
    auto failed = std::exchange(jobs_, {});
    const auto outcome = job.outcome;
    failed.push_front(std::move(job));
    const std::weak_ptr<int> alive = alive_;
    for (auto& each : failed) {
        if (!alive.lock()) return;
        each.outcome = outcome;
        end(std::move(each));
    }
}

// The disk may be gone after it.
void PartialSectors::end(Job job) {
    --unanswered_;
    job.done(job.outcome);
}

}  // namespace blockrep
