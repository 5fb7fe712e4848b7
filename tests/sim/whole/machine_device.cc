// The resource, its disk and its link.
#include <cstring>

#include "base/probe.hh"
#include "tests/sim/common/run_seeds.hh"
#include "tests/sim/whole/machine.hh"
#include "tests/sim/whole/world.hh"

namespace sim_whole {

using namespace blockrep;

namespace {
constexpr std::uint64_t block = clusterfs::block_size;

base::Probe probe_disk_error("simulated: a request to a backing disk fails");
base::Probe probe_refused("simulated: what no disk has is refused");

std::unexpected<base::Error> io_error() { return base::failure(std::errc::io_error, "simulated"); }

}  // namespace

void Machine::step(Event event) {
    if (!powered()) return;
    Actions actions;
    resource_->step(std::move(event), world_.scheduler().now(), actions);
    if (world_.random().one_in(16)) resource_->check_invariants();
    arm_resource();
    for (auto& action : actions) {
        if (powered()) perform(action);
    }
}

void Machine::command(CommandKind kind) { step(CommandGiven{3, kind}); }

void Machine::arm_resource() {
    const auto deadline = resource_->next_deadline();
    if (!deadline || (resource_armed_ && *resource_armed_ <= *deadline)) return;
    resource_armed_ = deadline;
    later(*deadline - world_.scheduler().now(), [this] {
        resource_armed_.reset();
        step(TimePassed{});
    });
}

void Machine::perform(Action& action) {
    if (auto* sent = std::get_if<SendFrame>(&action)) {
        if (connection_ != 0) world_.carry(index_, connection_, sent->frame, sent->payload);
    } else if (std::holds_alternative<OpenLink>(action)) {
        wants_link_ = true;
        later(base::Duration::milliseconds(20), [this] { world_.try_connect(); });
    } else if (std::holds_alternative<CloseLink>(action)) {
        wants_link_ = false;
        world_.break_connection(std::exchange(connection_, 0));
    } else if (auto* fence = std::get_if<RequestFence>(&action)) {
        ask_for_fence("blockrep", fence->victim);
    } else if (auto* withdraw = std::get_if<WithdrawFence>(&action)) {
        withdraw_fence("blockrep", withdraw->victim);
    } else if (auto* read = std::get_if<CompleteRead>(&action)) {
        complete(read->client, std::move(read->data));
    } else if (auto* done = std::get_if<CompleteRequest>(&action)) {
        complete(done->client,
                 done->outcome ? base::Result<Payload>(Payload{}) : std::unexpected(done->outcome.error()));
    } else if (auto* command = std::get_if<CompleteCommand>(&action)) {
        if (command->command == 3) promoted(command->outcome);
    } else if (auto* report = std::get_if<Report>(&action)) {
        world_.say(report->text);
    } else {
        perform_disk(action);
    }
}

void Machine::perform_disk(Action& action) {
    if (auto* read = std::get_if<ReadLocal>(&action)) {
        later(some(20, 800), [this, ask = *read, works = disk_begins(&DiskTrouble::reads)] {
            --disk_requests_;
            step(LocalReadDone{ask.ticket, works ? base::Result<Payload>(disk_.read(ask.range)) : io_error()});
        });
    } else if (auto* write = std::get_if<WriteLocal>(&action)) {
        const bool works = disk_begins(&DiskTrouble::writes);
        later(some(20, 1500), [this, request = disk_.begin_write(*write), ticket = write->ticket, works] {
            write_ends(request, ticket, works);
        });
    } else if (auto* flush = std::get_if<FlushLocal>(&action)) {
        const bool works = disk_begins(&DiskTrouble::flushes);
        later(some(50, 3000), [this, finished = disk_.data().begin_flush(), ticket = flush->ticket, works] {
            flush_ends(finished, ticket, works);
        });
    } else if (auto* metadata = std::get_if<WriteMetadata>(&action)) {
        const bool works = disk_begins(&DiskTrouble::metadata);
        later(some(50, 2000), [this, request = disk_.begin_metadata(*metadata), ticket = metadata->ticket, works] {
            metadata_ends(request, ticket, works);
        });
    } else if (std::holds_alternative<CloseDisk>(action)) {
        world_.say(std::string("disk of ") + (index_ == 0 ? "a" : "b") + " is closed");
        later(some(5000, 500000), [this] { attach_again(); });
    }
}

// ---- disk errors: of one replica, while the other has everything
bool Machine::is_full_replica() const {
    return powered() && resource_->disk() == DiskState::UpToDate &&
           resource_->replication() == ReplicationState::Established;
}

void Machine::trouble_disk(const DiskTrouble& trouble, base::Duration lasts) {
    trouble_ = trouble;
    world_.scheduler().after(lasts, [this, run = run_] {
        if (run == run_) trouble_ = {};
    });
}

bool Machine::disk_begins(bool DiskTrouble::*kind) {
    ++disk_requests_;
    if (!(trouble_.*kind) || !world_.random().percent(trouble_.percent)) return true;
    probe_disk_error.hit();
    disk_failed_ = true;
    return false;
}

// It fails with any part of it done.
void Machine::write_ends(sim::Device::Request request, Ticket ticket, bool works) {
    --disk_requests_;
    if (works) {
        disk_.data().end_write(request);
        return step(LocalWriteDone{ticket, {}});
    }
    disk_.data().fail_write(request, world_.random());
    step(LocalWriteDone{ticket, io_error()});
}

void Machine::metadata_ends(std::uint64_t request, Ticket ticket, bool works) {
    --disk_requests_;
    if (works) {
        disk_.end_metadata(request);
        return step(LocalWriteDone{ticket, {}});
    }
    disk_.fail_metadata(request, world_.random());
    step(LocalWriteDone{ticket, io_error()});
}

// It fails, and what was in the cache is stable or lost; but for what only this disk has.
void Machine::flush_ends(std::uint64_t finished, Ticket ticket, bool works) {
    --disk_requests_;
    if (works) {
        disk_.data().end_flush(finished);
        return step(LocalFlushDone{ticket, {}});
    }
    const auto& other = world_.other(index_);
    const bool has_all = other.powered() && other.resource().disk() == DiskState::UpToDate;
    if (has_all) disk_.data().power_lost(world_.random());
    step(LocalFlushDone{ticket, io_error()});
}

void Machine::attach_again() {
    if (disk_requests_ != 0) return later(base::Duration::milliseconds(1), [this] { attach_again(); });
    disk_failed_ = false;
    step(DiskOpened{disk_.size(), disk_.metadata(), 1});
}

// Neither disk has it: said, and nothing else. What runs on this machine ends.
void Machine::refused(const base::Error& error) {
    if (!disk_failed_ || world_.other(index_).is_full_replica()) {
        throw sim::Violation("a request failed: " + error.message() + "\n" + describe());
    }
    probe_refused.hit();
    later({}, [this] { world_.power_off(index_); });
}

void Machine::promoted(const base::Result<void>& outcome) {
    if (resource_->role() != Role::Primary) {
        return later(base::Duration::milliseconds(200), [this] { command(CommandKind::promote); });
    }
    if (lockspace_) return;
    // As mount.cfs asks before it starts: not without quorum, not beside one that may be at work out of reach.
    if (!quorate_ || !fencer_->is_in_group() || !fencer_->missing().empty()) {
        return later(base::Duration::milliseconds(200), [this] { command(CommandKind::promote); });
    }
    if (outcome) {
        start_lockspace();
        start_mount();
    }
}

void Machine::ask_device(Event event, DeviceDone done) {
    device_requests_.emplace(next_ticket_++, std::move(done));
    step(std::move(event));
}

void Machine::complete(Ticket client, base::Result<Payload> result) {
    auto node = device_requests_.extract(client);
    if (node.empty()) throw sim::Violation("an answer to a request that was not asked");
    // Never from inside the call.
    later({}, [done = std::move(node.mapped()), result = std::move(result)] { done(result); });
}

void Machine::read_blocks(const clusterfs::ReadBlocks& action) {
    const Range range{action.first * block, action.count * block};
    ask_device(ReadRequested{next_ticket_, range, {}}, [this, action](const base::Result<Payload>& data) {
        if (!data) return refused(data.error());
        std::vector<std::shared_ptr<clusterfs::Block>> blocks;
        for (std::uint32_t i = 0; i < action.count; ++i) {
            blocks.push_back(std::make_shared<clusterfs::Block>());
            if (!data->is_zeros()) std::memcpy(blocks.back()->bytes.data(), data->data + i * block, block);
        }
        happened(clusterfs::BlocksRead{action.ticket, std::move(blocks)});
    });
}

// In pieces that the device takes; all of them are under way at once.
void Machine::write_blocks(const clusterfs::WriteBlocks& action) {
    const auto bytes = std::make_shared<std::vector<std::byte>>(action.blocks.size() * block);
    for (std::size_t i = 0; i < action.blocks.size(); ++i) {
        std::memcpy(bytes->data() + i * block, action.blocks[i]->bytes.data(), block);
    }
    const auto pieces = std::make_shared<std::size_t>((bytes->size() + max_data_length - 1) / max_data_length);
    for (std::uint64_t at = 0; at < bytes->size(); at += max_data_length) {
        const auto length = std::min<std::uint64_t>(max_data_length, bytes->size() - at);
        ask_device(
            WriteRequested{
                next_ticket_, {action.first * block + at, length}, {bytes, bytes->data() + at, length}, action.stable},
            [this, pieces, ticket = action.ticket](const base::Result<Payload>& result) {
                if (!result) return refused(result.error());
                if (--*pieces == 0) happened(clusterfs::BlocksWritten{ticket, {}});
            });
    }
}

void Machine::link_opened(std::uint64_t connection) {
    connection_ = connection;
    step(LinkOpened{});
}

void Machine::link_closed() {
    when_awake([this, connection = connection_] {
        if (connection_ != connection) return;
        connection_ = 0;
        step(LinkClosed{"connection reset"});
        if (wants_link_) later(base::Duration::milliseconds(50), [this] { world_.try_connect(); });
    });
}

void Machine::frame_arrived(std::uint64_t connection, const Frame& frame, const Payload& payload) {
    later(base::Duration::microseconds(150), [this, connection, frame, payload] {
        if (connection == connection_) step(FrameReceived{frame, payload});
    });
}

}  // namespace sim_whole
