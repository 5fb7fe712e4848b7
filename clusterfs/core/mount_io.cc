#include "clusterfs/core/mount_io.hh"

#include <algorithm>
#include <string>
#include <utility>

namespace clusterfs {
namespace {

base::Error outside(BlockNumber first, std::uint64_t count) {
    return {make_error_code(Errc::corrupted),
            "blocks " + std::to_string(first) + "+" + std::to_string(count) + " are outside the device"};
}

}  // namespace

void MountIo::read(BlockNumber first, std::uint32_t count, ReadDone done) {
    if (!inside_device(first, count)) return done(std::unexpected(outside(first, count)));
    const auto ticket = new_ticket();
    reads_.emplace(ticket, std::move(done));
    actions_->push_back(ReadBlocks{ticket, first, count});
}

void MountIo::write(BlockNumber first, std::vector<BlockHandle> blocks, bool stable, Done done) {
    if (!inside_device(first, blocks.size())) return done(std::unexpected(outside(first, blocks.size())));
    const auto ticket = new_ticket();
    dones_.emplace(ticket, std::move(done));
    actions_->push_back(WriteBlocks{ticket, first, std::move(blocks), stable});
}

void MountIo::flush(Done done) {
    const auto ticket = new_ticket();
    dones_.emplace(ticket, std::move(done));
    actions_->push_back(FlushDevice{ticket});
}

void MountIo::request_lock(const LockName& name, LockMode mode, bool no_queue, LockDone done) {
    locks_.insert_or_assign(name, std::move(done));
    actions_->push_back(RequestLock{name, mode, no_queue, true});
}

bool MountIo::on_read(BlocksRead& event) {
    auto node = reads_.extract(event.ticket);
    if (node.empty()) return false;
    node.mapped()(std::move(event.blocks));
    return true;
}

bool MountIo::on_written(BlocksWritten& event) {
    auto node = dones_.extract(event.ticket);
    if (node.empty()) return false;
    node.mapped()(std::move(event.outcome));
    return true;
}

bool MountIo::on_flushed(DeviceFlushed& event) {
    auto node = dones_.extract(event.ticket);
    if (node.empty()) return false;
    node.mapped()(std::move(event.outcome));
    return true;
}

bool MountIo::on_lock(const LockName& name, bool granted) {
    auto node = locks_.extract(name);
    if (node.empty()) return false;
    node.mapped()(granted);
    return true;
}

}  // namespace clusterfs
