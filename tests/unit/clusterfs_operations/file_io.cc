#include "tests/unit/clusterfs_operations/file_io.hh"

#include <cstring>

#include "base/ensure.hh"

namespace clusterfs::test {
namespace {

using namespace operations;

Block read_block(MemoryCluster& cluster, BlockNumber number) {
    Block block;
    base::ensure(cluster.device.read(number, std::span(&block, 1)).has_value(), "read failed");
    return block;
}

void write_block(MemoryCluster& cluster, BlockNumber number, const Block& block) {
    base::ensure(cluster.device.write(number, std::span(&block, 1)).has_value(), "write failed");
}

// The block's old content as the plan says it counts.
Block old_content(MemoryCluster& cluster, const WritePlan& plan, const PartialBlock& partial) {
    Block block;
    if (!partial.needs_old()) return block;
    if (plan.was_inline(partial)) {
        std::memcpy(block.bytes.data(), plan.inline_content.data(), plan.inline_content.size());
    } else {
        block = read_block(cluster, partial.block);
    }
    plan.clear_old(partial, block.bytes);
    return block;
}

void write_file_block(MemoryCluster& cluster, const WritePlan& plan, std::string_view data, std::uint64_t file_block,
                      BlockNumber number) {
    Block block;
    for (const auto& partial : plan.partial) {
        if (partial.file_block == file_block) block = old_content(cluster, plan, partial);
    }
    const auto start = file_block * block_size;
    const auto begin = std::max(plan.offset, start);
    const auto end = std::min(plan.offset + plan.length, start + block_size);
    if (plan.zeros) {
        std::memset(block.bytes.data() + (begin - start), 0, end - begin);
    } else {
        std::memcpy(block.bytes.data() + (begin - start), data.data() + (begin - plan.offset), end - begin);
    }
    write_block(cluster, number, block);
}

void perform(MemoryCluster& cluster, const WritePlan& plan, std::string_view data) {
    if (plan.before) write_block(cluster, plan.before->block, old_content(cluster, plan, *plan.before));
    for (const auto& segment : plan.segments) {
        for (std::uint64_t i = 0; i < segment.count; ++i) {
            write_file_block(cluster, plan, data, segment.file_block + i, segment.block + i);
        }
    }
}

base::Result<void> perform_and_finish(MemoryNode& node, MemoryCluster& cluster, InodeReference inode,
                                      const WritePlan& plan, std::string_view data) {
    perform(cluster, plan, data);
    return node.run([&](View& view) { return finish_write(view, inode, plan, false); });
}

void unpin_all(MemoryNode& node, const std::vector<LockName>& pins) {
    for (const auto& name : pins) node.unpin(name);
}

}  // namespace

base::Result<std::string> read_file(MemoryNode& node, MemoryCluster& cluster, InodeReference inode,
                                    std::uint64_t offset, std::uint64_t length) {
    BASE_ASSIGN(const auto plan, node.get([&](View& view) { return begin_read(view, inode, offset, length); }));
    std::string out;
    if (plan.is_inline) out = std::string(base::as_text(plan.inline_data));
    for (const auto& segment : plan.segments) {
        base::ensure(segment.offset == offset + out.size(), "a read plan has a gap");
        for (std::uint64_t done = 0; done < segment.length;) {
            const auto within = (segment.offset + done) % block_size;
            const auto index = (segment.offset + done) / block_size - segment.offset / block_size;
            const auto count = std::min<std::uint64_t>(block_size - within, segment.length - done);
            const auto block = segment.block == 0 ? Block{} : read_block(cluster, segment.block + index);
            out.append(reinterpret_cast<const char*>(block.bytes.data()) + within, count);
            done += count;
        }
    }
    base::ensure(out.size() == plan.length, "a read plan has another length than its parts");
    unpin_all(node, plan.pins);
    return out;
}

base::Result<std::uint64_t> write_file(MemoryNode& node, MemoryCluster& cluster, InodeReference inode,
                                       std::uint64_t offset, std::string_view data, bool append) {
    std::uint64_t done = 0;
    while (done < data.size()) {
        const auto rest = data.substr(done);
        WriteRequest request{inode, offset + done, append, false, base::as_bytes(rest)};
        auto plan = node.get([&](View& view) { return begin_write(view, request); });
        if (!plan && done > 0) break;
        if (!plan) return std::unexpected(std::move(plan).error());
        if (plan->again) continue;
        if (!plan->done) {
            auto finished = perform_and_finish(node, cluster, inode, *plan, rest);
            unpin_all(node, plan->pins);
            BASE_TRY(std::move(finished));
        }
        done += plan->length;
    }
    return done;
}

base::Result<void> carry_out(MemoryNode& node, MemoryCluster& cluster, InodeReference inode,
                             const ResizeOperation& operation) {
    unsigned zeroed = 0;
    std::vector<LockName> pins;
    while (true) {
        auto step = node.get([&](View& view) { return operation(view, zeroed); });
        unpin_all(node, pins);
        pins.clear();
        if (!step) return std::unexpected(std::move(step).error());
        if (step->done) return {};
        if (!step->work) continue;
        ++zeroed;
        auto finished = perform_and_finish(node, cluster, inode, *step->work, {});
        pins = step->work->pins;
        if (!finished) unpin_all(node, pins);
        BASE_TRY(std::move(finished));
    }
}

base::Result<void> truncate_file(MemoryNode& node, MemoryCluster& cluster, InodeReference inode, std::uint64_t size) {
    return carry_out(node, cluster, inode,
                     [&](View& view, unsigned zeroed) { return resize(view, inode, size, false, zeroed); });
}

}  // namespace clusterfs::test
