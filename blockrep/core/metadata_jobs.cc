// Order of metadata writes: one job at a time, its parts one after the other.
#include "blockrep/core/resource_state.hh"

namespace blockrep {

void Resource::State::submit(MetadataJob job) {
    if (!disk_open) {
        if (job.done) job.done();  // without a disk there is nothing to remember
        return;
    }
    jobs.push_back(std::move(job));
    if (!job_running) run_next_job();
}

void Resource::State::save(bool pages, std::function<void()> done, Ticket command) {
    MetadataJob job;
    job.flush = pages;
    job.all_pages = pages;
    job.superblock = true;
    job.done = std::move(done);
    job.command = command;
    submit(std::move(job));
}

void Resource::State::run_next_job() {
    if (jobs.empty()) return;
    job_running = true;
    if (!jobs.front().flush) return run_pages();
    flush_local([this, number = disk_number](base::Result<Payload> result) {
        if (number != disk_number || !disk_open) return;
        if (!result) return fail_disk(result.error().message());
        run_pages();
    });
}

void Resource::State::write_metadata(std::uint64_t offset, base::Bytes bytes, std::function<void()> done) {
    const auto number = ticket();
    local.emplace(number, [this, disk_then = disk_number, done = std::move(done)](base::Result<Payload> result) {
        if (disk_then != disk_number || !disk_open) return;
        if (!result) return fail_disk("metadata: " + result.error().message());
        done();
    });
    act(WriteMetadata{number, offset, std::move(bytes)});
}

void Resource::State::run_pages() {
    const auto& job = jobs.front();
    std::set<std::uint64_t> pages;
    if (job.all_pages) pages = bitmap.pages_to_write();
    for (const auto& range : job.pages_of) {
        for (const auto page : bitmap.pages_to_write(range)) pages.insert(page);
    }
    if (pages.empty()) return run_log();
    const auto remaining = std::make_shared<std::size_t>(pages.size());
    for (const auto page : pages) {
        write_metadata(Geometry::bitmap_offset(page), bitmap.page_image(page), [this, remaining] {
            if (--*remaining == 0) run_log();
        });
    }
}

void Resource::State::run_log() {
    const auto& job = jobs.front();
    if (!job.log) return run_superblock();
    write_metadata(Geometry::al_offset(job.log->copy), encode(job.log->content), [this] { run_superblock(); });
}

void Resource::State::run_superblock() {
    if (!jobs.front().superblock) return finish_job();
    ++superblock.sequence;
    superblock_copy = 1 - superblock_copy;
    write_metadata(Geometry::superblock_offset(superblock_copy), encode(superblock), [this] { finish_job(); });
}

void Resource::State::finish_job() {
    const auto done = std::move(jobs.front().done);
    jobs.pop_front();
    job_running = false;
    if (done) done();
    if (!job_running) run_next_job();
}

}  // namespace blockrep
