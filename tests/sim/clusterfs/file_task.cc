#include "tests/sim/clusterfs/file_task.hh"

#include <algorithm>
#include <cstring>

#include "clusterfs/core/inode.hh"
#include "clusterfs/core/operations/open.hh"

namespace sim {

using namespace clusterfs;
namespace ops = clusterfs::operations;

void FileTask::start(Node& node, FileRequest request, FileHooks hooks) {
    const std::shared_ptr<FileTask> task(new FileTask(node, std::move(request), std::move(hooks)));
    task->open();
}

void FileTask::run_then(Mount::Operation operation, std::function<void()> then) {
    node_.run(std::move(operation), [self = shared_from_this(), then](const base::Result<void>& outcome) {
        if (outcome) return then();
        self->hooks_.failed(outcome.error());
        self->node_.later([self] {
            for (auto* pins : {&self->plan_.pins, &self->read_plan_.pins, &self->old_pins_}) self->unpin(*pins);
            self->close();
        });
    });
}

// What follows runs after the mount's call has returned, as in the driver.
void FileTask::run(Mount::Operation operation, Then then) {
    run_then(std::move(operation),
             [self = shared_from_this(), then] { self->node_.later([self, then] { (self.get()->*then)(); }); });
}

void FileTask::open() {
    node_.run(
        [self = shared_from_this()](View& view) -> base::Result<void> {
            BASE_TRY(ops::open(view, self->request_.inode));
            return {};
        },
        [self = shared_from_this()](const base::Result<void>& outcome) {
            if (outcome) return self->node_.later([self] { self->begin(); });
            self->hooks_.failed(outcome.error());
            self->node_.later([self] { self->hooks_.finished(); });
        });
}

void FileTask::begin() {
    if (request_.kind == FileRequest::Kind::truncate) {
        return node_.when_written(request_.inode.number, [self = shared_from_this()] { self->resize(); });
    }
    if (request_.kind == FileRequest::Kind::read) {
        return run_then(
            [self = shared_from_this()](View& view) -> base::Result<void> {
                const auto& request = self->request_;
                BASE_ASSIGN(self->read_plan_, ops::begin_read(view, request.inode, request.offset, request.length));
                return {};
            },
            [self = shared_from_this()] {
                if (self->read_plan_.pins.empty())
                    self->read_planned();
                else
                    self->node_.later([self] { self->read_planned(); });
            });
    }
    run_then(
        [self = shared_from_this()](View& view) -> base::Result<void> {
            ops::WriteRequest write{self->request_.inode, self->request_.offset, false, false,
                                    base::as_bytes(self->request_.data)};
            BASE_ASSIGN(self->plan_, ops::begin_write(view, write));
            self->marked_ = self->plan_.done;
            return self->marked_ ? self->hooks_.mark(view) : base::Result<void>{};
        },
        [self = shared_from_this()] {
            if (self->plan_.done) self->hooks_.changed(self->plan_.offset, self->plan_.length, self->plan_.written());
            self->node_.later([self] { self->write_planned(); });
        });
}

void FileTask::read_planned() {
    if (read_plan_.is_inline || read_plan_.segments.empty()) {
        hooks_.was_read(std::string(base::as_text(read_plan_.inline_data)));
        return node_.later([self = shared_from_this()] { self->close(); });
    }
    std::vector<BlockNumber> numbers;
    for (const auto& segment : read_plan_.segments) {
        const auto count = (segment.offset % block_size + segment.length + block_size - 1) / block_size;
        for (std::uint64_t i = 0; i < count && segment.block != 0; ++i) numbers.push_back(segment.block + i);
    }
    // Nothing but holes: read now, while the lock is held without a pin.
    if (numbers.empty()) {
        hooks_.was_read(data_of({}));
        return node_.later([self = shared_from_this()] { self->close(); });
    }
    node_.when_written(request_.inode.number, [self = shared_from_this(), numbers] {
        self->node_.read_data(numbers, [self](const std::map<BlockNumber, Block>& blocks) {
            self->hooks_.was_read(self->data_of(blocks));
            self->unpin(self->read_plan_.pins);
            self->close();
        });
    });
}

std::string FileTask::data_of(const std::map<BlockNumber, Block>& blocks) const {
    std::string data;
    for (const auto& segment : read_plan_.segments) {
        for (std::uint64_t done = 0; done < segment.length;) {
            const auto within = (segment.offset + done) % block_size;
            const auto index = (segment.offset + done) / block_size - segment.offset / block_size;
            const auto count = std::min<std::uint64_t>(block_size - within, segment.length - done);
            const auto block = segment.block == 0 ? Block{} : blocks.at(segment.block + index);
            data.append(reinterpret_cast<const char*>(block.bytes.data()) + within, count);
            done += count;
        }
    }
    return data;
}

void FileTask::write_planned() {
    if (plan_.done) return close();
    if (plan_.again) return begin();
    std::vector<BlockNumber> numbers;
    std::vector<ops::PartialBlock> partial = plan_.partial;
    if (plan_.before) partial.push_back(*plan_.before);
    for (const auto& one : partial) numbers.push_back(one.block);
    const bool all_new = std::ranges::none_of(partial, [](const auto& one) { return one.needs_old(); });
    if (plan_.appends && all_new) return put_together(partial, {});
    node_.when_written(request_.inode.number, [self = shared_from_this(), numbers, partial] {
        self->node_.read_data(numbers, [self, partial](const auto& blocks) { self->put_together(partial, blocks); });
    });
}

void FileTask::put_together(const std::vector<ops::PartialBlock>& partial, const std::map<BlockNumber, Block>& blocks) {
    old_.clear();
    for (const auto& one : partial) {
        const auto found = blocks.find(one.block);
        auto block = found == blocks.end() ? Block{} : found->second;
        const auto& kept_inline = plan_.inline_content;
        if (plan_.was_inline(one)) {
            std::memcpy(block.bytes.data(), kept_inline.data(), std::min(kept_inline.size(), block_size));
        }
        plan_.clear_old(one, block.bytes);
        old_[one.file_block] = block;
    }
    write_blocks();
}

Block FileTask::image_of(std::uint64_t file_block) const {
    Block block;
    if (const auto old = old_.find(file_block); old != old_.end()) block = old->second;
    const auto start = file_block * block_size;
    const auto begin = std::max(plan_.offset, start);
    const auto end = std::min(plan_.offset + plan_.length, start + block_size);
    if (begin >= end) return block;
    if (plan_.zeros) {
        std::memset(block.bytes.data() + (begin - start), 0, end - begin);
    } else {
        std::memcpy(block.bytes.data() + (begin - start), request_.data.data() + (begin - plan_.offset), end - begin);
    }
    return block;
}

void FileTask::write_blocks() {
    std::map<BlockNumber, Block> images;
    if (plan_.before) images[plan_.before->block] = old_.at(plan_.before->file_block);
    for (const auto& segment : plan_.segments) {
        for (std::uint64_t i = 0; i < segment.count; ++i) images[segment.block + i] = image_of(segment.file_block + i);
    }
    const bool stable = plan_.replaces_old && node_.reader_follows(request_.inode.number);
    const auto written = [self = shared_from_this(), stable] {
        if (!stable) self->node_.mount().note_data_written(self->plan_.written(), self->request_.inode.number);
        self->finish_plan();
    };
    if (!plan_.appends) return node_.write_data(request_.inode.number, images, stable, written);
    node_.append_data(request_.inode.number, images);
    written();
}

void FileTask::finish_plan() {
    // Only old content was moved: nothing of the request is visible yet.
    const bool is_write = request_.kind == FileRequest::Kind::write && plan_.length != 0;
    run_then(
        [self = shared_from_this(), is_write](View& view) -> base::Result<void> {
            BASE_TRY(ops::finish_write(view, self->request_.inode, self->plan_, false));
            return is_write ? self->hooks_.mark(view) : base::Result<void>{};
        },
        [self = shared_from_this(), is_write] {
            if (is_write) self->hooks_.changed(self->plan_.offset, self->plan_.length, self->plan_.written());
            self->node_.later([self] { self->plan_finished(); });
        });
}

void FileTask::plan_finished() {
    if (request_.kind == FileRequest::Kind::truncate) {
        old_pins_ = std::exchange(plan_.pins, {});
        ++zeroed_;
        return resize();
    }
    unpin(plan_.pins);
    request_.offset += plan_.length;
    request_.data.erase(0, plan_.length);
    if (!request_.data.empty()) return begin();
    close();
}

void FileTask::resize() {
    run_then(
        [self = shared_from_this()](View& view) -> base::Result<void> {
            const auto& request = self->request_;
            BASE_ASSIGN(self->step_,
                        ops::resize(view, request.inode, request.offset, false, self->zeroed_, self->shortened_));
            BASE_ASSIGN(const auto* inode, read_inode(view, request.inode.number));
            self->marked_ = !self->visible_ && (self->step_.done || inode->size == request.offset) && !self->step_.work;
            return self->marked_ ? self->hooks_.mark(view) : base::Result<void>{};
        },
        [self = shared_from_this()] {
            self->shortened_ = self->shortened_ || self->step_.shortened;
            if (self->marked_) {
                self->visible_ = true;
                self->hooks_.changed(self->request_.offset, 0, clusterfs::FileData::becomes_visible);
            }
            self->node_.later([self] { self->resized(); });
        });
}

void FileTask::resized() {
    unpin(old_pins_);
    if (step_.done) return close();
    if (!step_.work) return resize();
    plan_ = *step_.work;
    write_planned();
}

void FileTask::unpin(std::vector<LockName>& pins) {
    for (const auto& name : std::exchange(pins, {})) node_.unpin(name);
}

void FileTask::close() {
    node_.unpin(ops::open_lock(request_.inode.number));
    delete_if_orphan();
}

void FileTask::delete_if_orphan() {
    node_.run(
        [self = shared_from_this()](View& view) -> base::Result<void> {
            BASE_ASSIGN(self->deletion_, ops::delete_orphan(view, self->request_.inode));
            return {};
        },
        [self = shared_from_this()](const base::Result<void>&) {
            self->node_.later([self] {
                if (self->deletion_ == ops::Deletion::more) return self->delete_if_orphan();
                self->hooks_.finished();
            });
        });
}

}  // namespace sim
