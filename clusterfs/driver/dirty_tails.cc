#include "clusterfs/driver/dirty_tails.hh"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/ensure.hh"

namespace clusterfs {
namespace {

constexpr std::size_t many_images = 64;
constexpr std::size_t many_files = 1024;

}  // namespace

// Blocks of one file on their way to the device.
struct DirtyTails::WriteOut {
    InodeNumber inode = 0;
    std::vector<std::pair<BlockNumber, IoBuffer>> blocks;
    Done done;
    std::size_t under_way = 0;
    base::Result<void> outcome;
};

bool DirtyTails::File::any_dirty() const {
    return std::ranges::any_of(images, [](const auto& each) { return each.second.dirty; });
}

bool DirtyTails::append(const TailAppend& append) {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(append.inode.number);
    if (found == files_.end()) return false;
    auto& file = found->second;
    if (file.generation != append.inode.generation || file.tenure != append.tenure) return false;
    const auto& first = append.parts.front();
    const auto image = file.images.find(first.block);
    // A fresh block needs no image from before.
    if ((image == file.images.end() ? 0 : image->second.fill) != first.begin) return false;
    put(file, append);
    return true;
}

void DirtyTails::start(const TailAppend& append, IoBuffer image) {
    const std::lock_guard lock(mutex_);
    auto& file = files_[append.inode.number];
    base::ensure(file.images.empty() && !file.writing, "the image of a tail is made anew only after the old one went");
    file.generation = append.inode.generation;
    file.tenure = append.tenure;
    const auto& first = append.parts.front();
    file.images[first.block] = {std::move(image), first.begin, false};
    put(file, append);
}

void DirtyTails::drop_clean() {
    std::erase_if(files_, [](const auto& each) { return !each.second.writing && !each.second.any_dirty(); });
}

void DirtyTails::put(File& file, const TailAppend& append) {
    for (const auto& part : append.parts) {
        auto& image = file.images[part.block];
        if (!image.bytes) {
            image.bytes = buffers_.take(block_size);
            std::memset(image.bytes.data(), 0, block_size);
        }
        base::copy_bytes(part.bytes, image.bytes.span(part.begin, part.bytes.size()));
        image.fill = part.begin + static_cast<std::uint32_t>(part.bytes.size());
        image.dirty = true;
    }
}

// A block is never written twice at a time: the older image might come last.
void DirtyTails::write_out(InodeNumber inode, Done done) {
    auto job = std::make_shared<WriteOut>();
    {
        const std::lock_guard lock(mutex_);
        const auto found = files_.find(inode);
        if (found != files_.end() && found->second.writing) {
            found->second.waiting.push_back(
                [this, inode, done = std::move(done)]() mutable { write_out(inode, std::move(done)); });
            return;
        }
        if (found != files_.end()) {
            for (auto& [block, image] : found->second.images) {
                if (!std::exchange(image.dirty, false)) continue;
                job->blocks.emplace_back(block, buffers_.take(block_size));
                std::memcpy(job->blocks.back().second.data(), image.bytes.data(), block_size);
            }
            found->second.writing = !job->blocks.empty();
        }
    }
    if (job->blocks.empty()) return done({});
    job->inode = inode;
    job->done = std::move(done);
    job->under_way = job->blocks.size();
    for (std::size_t i = 0; i < job->blocks.size(); ++i) {
        const auto& [block, bytes] = job->blocks[i];
        device_.write(block * block_size, bytes.span(0, block_size), base::Durability::cached,
                      [this, job, i](const base::Result<void>& outcome) { wrote(job, i, outcome); });
    }
}

void DirtyTails::wrote(const std::shared_ptr<WriteOut>& job, std::size_t which, const base::Result<void>& outcome) {
    std::vector<std::function<void()>> waiting;
    {
        const std::lock_guard lock(mutex_);
        auto& file = files_.at(job->inode);
        if (!outcome) {
            file.images.at(job->blocks[which].first).dirty = true;
            job->outcome = outcome;
        }
        if (--job->under_way > 0) return;
        file.writing = false;
        std::erase_if(file.images,
                      [](const auto& each) { return !each.second.dirty && each.second.fill == block_size; });
        waiting.swap(file.waiting);
    }
    job->done(job->outcome);
    for (auto& go : waiting) go();
}

// Of what was not appended to since the last time, nothing is kept.
void DirtyTails::write_out_all(Done done) {
    struct All {
        std::mutex mutex;
        std::size_t left = 1;
        base::Result<void> outcome;
        Done done;
    };
    auto all = std::make_shared<All>();
    all->done = std::move(done);
    const auto one_done = [all](const base::Result<void>& outcome) {
        {
            const std::lock_guard lock(all->mutex);
            if (!outcome) all->outcome = outcome;
            if (--all->left > 0) return;
        }
        all->done(all->outcome);
    };
    std::vector<InodeNumber> inodes;
    {
        const std::lock_guard lock(mutex_);
        drop_clean();
        for (const auto& [inode, file] : files_) inodes.push_back(inode);
        all->left += inodes.size();
    }
    for (const auto inode : inodes) write_out(inode, one_done);
    one_done({});
}

void DirtyTails::clear(InodeNumber inode, Done done) {
    write_out(inode, [this, inode, done = std::move(done)](base::Result<void> outcome) {
        if (outcome) {
            const std::lock_guard lock(mutex_);
            const auto found = files_.find(inode);
            if (found != files_.end()) {
                base::ensure(!found->second.writing && !found->second.any_dirty(), "what was written out is clean");
                files_.erase(found);
            }
        }
        done(std::move(outcome));
    });
}

bool DirtyTails::is_much(InodeNumber inode) const {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(inode);
    return found != files_.end() && (found->second.images.size() > many_images || files_.size() > many_files);
}

void DirtyTails::describe(base::JsonWriter& json) const {
    const std::lock_guard lock(mutex_);
    const auto writing = std::ranges::count_if(files_, [](const auto& each) { return each.second.writing; });
    const auto dirty = std::ranges::count_if(files_, [](const auto& each) { return each.second.any_dirty(); });
    json.begin_object()
        .member("files", files_.size())
        .member("dirty", dirty)
        .member("being_written", writing)
        .end_object();
}

}  // namespace clusterfs
