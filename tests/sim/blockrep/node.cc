#include <cstring>

#include "base/probe.hh"
#include "blockrep/core/handshake.hh"
#include "blockrep/format/error.hh"
#include "tests/sim/blockrep/world.hh"

namespace sim {
namespace {

using namespace blockrep;

base::Probe probe_paused("simulated: a process is paused");

base::Duration microseconds(Random& random, std::int64_t low, std::int64_t high) {
    return base::Duration::microseconds(random.between(low, high));
}

Payload payload_of(const std::vector<Stamp>& stamps) {
    const auto bytes = std::make_shared<std::vector<std::byte>>(stamps.size() * base::sector_size);
    for (std::size_t i = 0; i < stamps.size(); ++i) {
        std::memcpy(bytes->data() + i * base::sector_size, &stamps[i], sizeof(Stamp));
    }
    return {bytes, bytes->data(), bytes->size()};
}

}  // namespace

Node::Node(World& world, std::uint32_t index)
    : world_(world), index_(index), disk_(world.disk_size, world.random.uuid()) {}

void Node::boot() {
    if (world_.dead_for_good == index_) return;
    powered_ = true;
    life_ = {base::NodeId{index_ + 1}, world_.random.uuid()};
    start_process();
}

void Node::start_process() {
    ++process_;
    connection_ = 0;
    wants_link_ = false;
    planned_.reset();
    commands_.clear();
    clients_paused_ = promote_open_ = attach_open_ = disk_open_ = disk_failed_ = false;
    wants_primary_ = true;
    refuses_without_caches_ = failed_to_flush_ = false;
    plans_ = 0;
    disk_requests_ = 0;
    Settings settings;
    settings.name = index_ == 0 ? "a" : "b";
    settings.self = life_;
    settings.peer = base::NodeId{2 - index_};
    settings.peer_name = index_ == 0 ? "b" : "a";
    settings.allow_two_primaries = world_.two_primaries;
    settings.al_extents = world_.knobs.al_extents;
    settings.resync_chunks = world_.knobs.resync_chunks;
    settings.resync_chunk_length = world_.knobs.resync_chunk_length;
    settings.reconnect_grace = world_.knobs.reconnect_grace;
    settings.seed = world_.random.next();
    resource_ = std::make_unique<Resource>(settings);
    attach();
    order(CommandKind::connect);
    world_.tell_known_deaths(*this);
    later(base::Duration::milliseconds(100), [this] { promote(); });
    plan_request();
}

void Node::crash(bool power) {
    if (!powered_ || (!running() && !power)) return;
    world_.log(std::string(index_ == 0 ? "a" : "b") + (power ? " loses power" : " loses its process"));
    resource_.reset();
    ++process_;
    paused_ = false;
    waiting_.clear();
    requests_.clear();
    commands_.clear();
    if (power) {
        powered_ = false;
        disk_.lose_power(world_.random);
    } else {
        disk_.lose_process(world_.random);
    }
    const auto connection = connection_;
    connection_ = 0;
    wants_link_ = false;
    if (connection != 0) world_.break_connection(connection, !power);
}

void Node::later(base::Duration delay, std::function<void()> work) {
    world_.scheduler.after(delay, [this, process = process_, work = std::move(work)] {
        if (process == process_ && running()) work();
    });
}

void Node::step(Event event) {
    if (!running()) return;
    if (paused_) return waiting_.push_back(std::move(event));
    Actions actions;
    resource_->step(std::move(event), world_.now(), actions);
    resource_->check_invariants();
    for (auto& action : actions) perform(action);
    plan_deadline();
}

void Node::pause(base::Duration lasts) {
    if (!running() || std::exchange(paused_, true)) return;
    probe_paused.hit();
    later(lasts, [this, process = process_] {
        paused_ = false;
        while (process == process_ && !paused_ && !waiting_.empty()) {
            auto event = std::move(waiting_.front());
            waiting_.pop_front();
            step(std::move(event));
        }
    });
}

void Node::plan_deadline() {
    const auto deadline = resource_->next_deadline();
    if (!deadline || planned_ == deadline) return;
    planned_ = deadline;
    later(*deadline - world_.now(), [this, deadline] {
        if (planned_ == deadline) planned_.reset();
        if (world_.now() >= *deadline) step(TimePassed{});
    });
}

// What the trace shows of data on its way.
void Node::trace(const char* what, const Range& range, const Payload& payload) const {
    if (!world_.tracing()) return;
    Stamp stamp = 0;
    if (!payload.is_zeros()) std::memcpy(&stamp, payload.data, sizeof stamp);
    world_.log(std::string("  ") + (index_ == 0 ? "a" : "b") + " " + what + " sectors " +
               std::to_string(range.offset / base::sector_size) + " +" +
               std::to_string(range.length / base::sector_size) + " stamps " + std::to_string(stamp) + "...");
}

void Node::perform(Action& action) {
    std::visit([this](auto& concrete) { on(concrete); }, action);
}

// ---- the disk
// ------------------------------------------------------------------------------------------------------------
void Node::trouble_disk(const DiskTrouble& trouble) {
    trouble_ = trouble;
    if (!trouble.at_handshake) trouble_ends_ = world_.now() + trouble.lasts;
}

void Node::heal_disk() {
    trouble_ = {};
    trouble_ends_ = world_.now();
}

bool Node::disk_begins(bool DiskTrouble::*kind) {
    if (!disk_open_) throw Violation("a request to a disk that was closed");
    ++disk_requests_;
    const bool troubled = !trouble_.at_handshake && world_.now() < trouble_ends_;
    if (!troubled || !(trouble_.*kind) || !world_.random.percent(trouble_.percent)) return true;
    disk_failed_ = true;
    return false;
}

namespace {

std::unexpected<base::Error> io_error() { return base::failure(std::errc::io_error, "simulated"); }

}  // namespace

void Node::on(ReadLocal& action) {
    const bool works = disk_begins(&DiskTrouble::reads);
    later(microseconds(world_.random, 20, 2000), [this, action, works] {
        --disk_requests_;
        if (!works) return step(LocalReadDone{action.ticket, io_error()});
        std::vector<Stamp> stamps;
        bool zero = true;
        for (auto at = action.range.offset; at < action.range.end(); at += base::sector_size) {
            stamps.push_back(disk_.read(at / base::sector_size));
            zero = zero && stamps.back() == 0;
        }
        step(LocalReadDone{action.ticket, zero ? Payload{nullptr, nullptr, action.range.length} : payload_of(stamps)});
    });
}

void Node::on(WriteLocal& action) {
    const bool works = disk_begins(&DiskTrouble::writes);
    trace(works ? "writes" : "fails to write", action.range, action.payload);
    finish_later(disk_.begin_write(action), action.ticket, 20, 3000, works);
}

void Node::on(WriteMetadata& action) {
    const bool works = disk_begins(&DiskTrouble::metadata);
    finish_later(disk_.begin_metadata(action), action.ticket, 100, 5000, works);
}

void Node::finish_later(std::uint64_t request, Ticket ticket, std::int64_t low, std::int64_t high, bool works) {
    later(microseconds(world_.random, low, high), [this, request, ticket, works] {
        --disk_requests_;
        if (!works) {
            disk_.fail(request, world_.random);
            return step(LocalWriteDone{ticket, io_error()});
        }
        disk_.finish(request);
        step(LocalWriteDone{ticket, {}});
    });
}

void Node::on(FlushLocal& action) {
    const bool works = disk_begins(&DiskTrouble::flushes);
    const auto covered = disk_.note_flush();
    later(microseconds(world_.random, 100, 5000), [this, covered, ticket = action.ticket, works] {
        --disk_requests_;
        if (!works) {
            failed_to_flush_ = true;
            // What only this disk has is spared: nothing could bring it back, and clients were told that it is there.
            if (world_.is_full_replica(1 - index_)) disk_.lose_cache(world_.random);
            return step(LocalFlushDone{ticket, io_error()});
        }
        disk_.flush_up_to(covered);
        step(LocalFlushDone{ticket, {}});
    });
}

void Node::on(CloseDisk&) {
    disk_open_ = false;
    if (!disk_failed_) return;
    world_.log(std::string("disk of ") + (index_ == 0 ? "a" : "b") + " failed");
    const auto pause = base::Duration::milliseconds(world_.random.between(5, world_.random.percent(50) ? 100 : 4000));
    later(pause, [this] { attach(); });
}

void Node::on(OpenLink&) {
    wants_link_ = true;
    later(base::Duration::milliseconds(20), [this] { world_.try_connect(); });
}

void Node::on(CloseLink&) {
    wants_link_ = false;
    const auto connection = connection_;
    connection_ = 0;
    if (connection != 0) world_.break_connection(connection, false);
}

void Node::on(SendFrame& action) {
    if (connection_ == 0) return;
    if (const auto* numbered = std::get_if<Numbered>(&action.frame)) {
        if (const auto* write = std::get_if<Write>(&numbered->message)) trace("sends", write->range, action.payload);
        if (std::holds_alternative<WriteDone>(numbered->message)) world_.log("  answers a write");
    }
    // Through the real codec, so that what it cannot carry is noticed.
    const auto bytes = encode(action.frame);
    auto frame = decode(bytes, action.payload.is_zeros() ? 0 : action.payload.length);
    if (!frame) throw Violation("a frame that the peer could not decode: " + frame.error().message());
    if (!(*frame == action.frame)) throw Violation("a frame that changes on the wire");
    world_.carry(index_, connection_, *frame, action.payload);
}

void Node::on(RequestFence& action) { world_.request_fence(index_, action.victim); }
void Node::on(WithdrawFence& action) { world_.withdraw_fence(index_, action.victim); }
void Node::on(Report& action) {
    world_.log(action.text);
    if (action.text.ends_with(to_string(Disagreement::both_caches_lost))) refuses_without_caches_ = true;
}

void Node::link_opened(std::uint64_t connection) {
    connection_ = connection;
    if (world_.random.percent(20)) world_.tempt_fate();
    if (trouble_.at_handshake) {
        trouble_.at_handshake = false;
        trouble_ends_ = world_.now() + trouble_.lasts;
    }
    step(LinkOpened{});
}

void Node::link_closed() {
    connection_ = 0;
    step(LinkClosed{"connection reset"});
    if (wants_link_) later(base::Duration::milliseconds(50), [this] { world_.try_connect(); });
}

void Node::fenced(const base::NodeIncarnation& dead) {
    world_.tempt_fate();
    step(PeerFenced{dead});
}

std::string Node::status() const {
    if (!running()) return "down";
    base::JsonWriter json;
    resource_->describe(json, world_.now());
    return json.text();
}

// ---- clients
// ---------------------------------------------------------------------------------------------------------
Range Node::random_range() {
    auto& random = world_.random;
    const auto sectors = disk_.geometry().data_size / base::sector_size;
    const auto length = random.percent(50) ? 8 : static_cast<std::uint64_t>(random.between(1, 24));
    const auto hot = random.percent(70);
    const auto first = hot ? random.below(48) + 8 * 1024 * random.below(3) : random.below(sectors - length);
    return {first * base::sector_size, length * base::sector_size};
}

void Node::plan_request() {
    if (clients_stopped_) return;
    later(microseconds(world_.random, 100, 8000), [this] {
        if (!clients_paused_ && requests_.size() < 12 && resource_->role() == Role::Primary) start_request();
        plan_request();
    });
}

void Node::start_clients() {
    clients_stopped_ = false;
    plan_request();
}

void Node::start_request() {
    auto& random = world_.random;
    const auto number = next_request_++;
    auto& request = requests_[number];
    request.begun = world_.now();
    if (random.percent(8)) {
        request.kind = ClientRequest::Kind::flush;
        return step(FlushRequested{number});
    }
    request.range = random_range();
    if (random.percent(40)) {
        request.kind = ClientRequest::Kind::read;
        return step(ReadRequested{number, request.range, {}});
    }
    request.kind = ClientRequest::Kind::write;
    request.stable = random.percent(20);
    request.first_stamp = world_.next_stamp;
    std::vector<Stamp> stamps;
    for (std::uint64_t i = 0; i < request.range.length / base::sector_size; ++i) {
        stamps.push_back(world_.next_stamp);
        world_.history.write_begun(request.range.offset / base::sector_size + i, world_.next_stamp++, world_.now());
    }
    step(WriteRequested{number, request.range, payload_of(stamps), request.stable});
}

// Only what neither disk can hold may be refused. (A write that was may be there or not.)
void Node::check_failure(const base::Error& error) const {
    const auto& other = world_.node(1 - index_);
    const bool a_disk_failed = disk_failed_ || other.disk_failed_;
    if (error.code == Errc::local_io && a_disk_failed && !disk_open_ && !world_.is_full_replica(1 - index_)) return;
    throw Violation("a request failed: " + error.message() + ": " + status() + ", the other " + other.status());
}

void Node::on(CompleteRead& action) {
    const auto request = requests_.at(action.client);
    requests_.erase(action.client);
    if (!action.data) return check_failure(action.data.error());
    for (std::uint64_t i = 0; i < request.range.length / base::sector_size; ++i) {
        Stamp stamp = 0;
        if (!action.data->is_zeros()) std::memcpy(&stamp, action.data->data + i * base::sector_size, sizeof stamp);
        world_.history.read_answered(request.range.offset / base::sector_size + i, stamp, request.begun, world_.now());
    }
}

void Node::on(CompleteRequest& action) {
    const auto request = requests_.at(action.client);
    requests_.erase(action.client);
    if (!action.outcome) return check_failure(action.outcome.error());
    if (request.kind == ClientRequest::Kind::flush) return world_.history.flushed(request.begun);
    for (std::uint64_t i = 0; i < request.range.length / base::sector_size; ++i) {
        world_.history.write_answered(request.range.offset / base::sector_size + i, request.first_stamp + i,
                                      world_.now(), request.stable);
    }
}

void Node::frame_arrived(std::uint64_t connection, const Frame& frame, const Payload& payload) {
    // In order: the delay of a connection is constant, and the scheduler keeps the order of equal instants.
    later(base::Duration::microseconds(200 + static_cast<std::int64_t>(connection % 7) * 100),
          [this, connection, frame, payload] {
              if (connection == connection_) step(FrameReceived{frame, payload});
          });
}

}  // namespace sim
