#include "blockrep/driver/resource_driver.hh"

#include <algorithm>

#include "base/aligned_buffer.hh"
#include "base/ensure.hh"
#include "base/io/clock.hh"
#include "base/io/log.hh"
#include "blockrep/format/error.hh"
#include "blockrep/format/metadata.hh"

namespace blockrep {

ResourceDriver::ResourceDriver(base::EventLoop& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      core_(options_.settings),
      link_(loop, options_.link, link_callbacks()) {
    if (options_.gate == nullptr) return;
    options_.gate->on_fenced([this, alive = std::weak_ptr<int>(alive_)](const base::NodeIncarnation& dead) {
        if (alive.lock()) fenced(dead);
    });
}

ResourceDriver::~ResourceDriver() = default;

PeerLink::Callbacks ResourceDriver::link_callbacks() {
    PeerLink::Callbacks callbacks;
    callbacks.opened = [this] { handle(LinkOpened{}); };
    callbacks.closed = [this](const std::string& why) { handle(LinkClosed{why}); };
    callbacks.received = [this](base::ByteView message, std::shared_ptr<base::AlignedBuffer> payload) {
        receive(message, std::move(payload));
    };
    return callbacks;
}

void ResourceDriver::describe(base::JsonWriter& json) const { core_.describe(json, base::monotonic_now()); }

// ---- events in, actions out
void ResourceDriver::handle(Event event) {
    events_.push_back(std::move(event));
    if (!running_) run_events();
}

void ResourceDriver::run_events() {
    const auto self = shared_from_this();
    running_ = true;
    while (!events_.empty()) {
        Event event = std::move(events_.front());
        events_.pop_front();
        actions_.clear();
        core_.step(std::move(event), base::monotonic_now(), actions_);
        for (auto& action : actions_) perform(action);
    }
    running_ = false;
    arm_timer();
    if (changed_) changed_();
}

// A timer that is due too early only looks again; it is not moved at every step.
void ResourceDriver::arm_timer() {
    const auto deadline = core_.next_deadline();
    if (!deadline || (timer_at_ && *timer_at_ <= *deadline)) return;
    timer_at_ = deadline;
    const auto now = base::monotonic_now();
    timer_ = loop_.after(std::max(*deadline - now, base::Duration{}), [this] {
        timer_at_.reset();
        const auto due = core_.next_deadline();
        if (due && *due <= base::monotonic_now()) {
            handle(TimePassed{});
        } else {
            arm_timer();
        }
    });
}

struct ResourceDriver::Perform {
    ResourceDriver& driver;

    void operator()(const ReadLocal& action) const { driver.read_disk(action); }
    void operator()(const WriteLocal& action) const { driver.write_disk(action); }
    void operator()(const FlushLocal& action) const { driver.flush_disk(action); }
    void operator()(const WriteMetadata& action) const { driver.write_metadata(action); }
    void operator()(const CloseDisk&) const { driver.close_disk(); }
    void operator()(const OpenLink&) const { driver.link_.open(); }
    void operator()(const CloseLink& action) const {
        if (!action.why.empty()) base::log_info("{}: link closed: {}", driver.name(), action.why);
        driver.link_.close();
    }
    void operator()(SendFrame& action) const {
        auto& payload = action.payload;
        base::OutgoingPayload out;
        if (!payload.is_zeros()) out = {{payload.data, payload.length}, std::move(payload.owner)};
        driver.link_.send(encode(action.frame), std::move(out));
    }
    void operator()(const RequestFence& action) const {
        base::log_warning("{}: fence requested: {}", driver.name(), action.reason);
        if (driver.options_.gate != nullptr) driver.options_.gate->request_fence(action.victim, action.reason);
    }
    void operator()(const WithdrawFence& action) const {
        if (driver.options_.gate != nullptr) driver.options_.gate->withdraw_fence(action.victim);
    }
    void operator()(const CompleteRead& action) const { driver.answer_read(action.client, action.data); }
    void operator()(CompleteRequest& action) const { driver.answer(action.client, std::move(action.outcome)); }
    void operator()(CompleteCommand& action) const { driver.answer_command(action.command, std::move(action.outcome)); }
    void operator()(const Report& action) const { base::log_info("{}", action.text); }
};

void ResourceDriver::perform(Action& action) { std::visit(Perform{*this}, action); }

void ResourceDriver::receive(base::ByteView message, std::shared_ptr<base::AlignedBuffer> payload) {
    const auto length = payload ? payload->size() : 0;
    auto frame = decode(message, length);
    if (!frame) return link_.fail("the peer sent nonsense: " + frame.error().message());
    Payload handle_to;
    if (payload) {
        const auto* data = payload->bytes().data();
        handle_to = {std::move(payload), data, length};
    }
    handle(FrameReceived{*std::move(frame), std::move(handle_to)});
}

void ResourceDriver::fenced(const base::NodeIncarnation& dead) {
    if (dead.node == options_.settings.peer) handle(PeerFenced{dead});
}

// ---- clients
namespace {

// Counts the pieces of a request that was too long for the core.
struct Pieces {
    std::size_t left = 0;
    base::Result<void> outcome;
    DevicePort::Done done;
};

// Calls `start(range, piece_done)` for each piece of at most `limit` bytes.
template <typename Start>
void split(const Range& range, std::uint64_t limit, DevicePort::Done done, const Start& start) {
    const auto pieces = std::make_shared<Pieces>();
    pieces->left = (range.length + limit - 1) / limit;
    pieces->done = std::move(done);
    for (std::uint64_t at = 0; at < range.length; at += limit) {
        start(Range{range.offset + at, std::min(limit, range.length - at)}, [pieces](base::Result<void> outcome) {
            if (!outcome && pieces->outcome) pieces->outcome = std::move(outcome);
            if (--pieces->left == 0) pieces->done(std::move(pieces->outcome));
        });
    }
}

}  // namespace

Ticket ResourceDriver::add_call(Done done, const ReadBuffer& into, std::uint64_t length) {
    const auto ticket = next_client_++;
    calls_.emplace(ticket, ClientCall{std::move(done), into, length});
    return ticket;
}

void ResourceDriver::read(const Range& range, const ReadBuffer& into, Done done) {
    if (range.length <= max_data_length) return read_piece(range, into, std::move(done));
    split(range, max_data_length, std::move(done), [&](const Range& piece, Done piece_done) {
        read_piece(piece, {into.owner, into.data + (piece.offset - range.offset)}, std::move(piece_done));
    });
}

void ResourceDriver::read_piece(const Range& range, const ReadBuffer& into, Done done) {
    ++in_client_call_;
    handle(ReadRequested{add_call(std::move(done), into, range.length), range, into});
    --in_client_call_;
}

void ResourceDriver::write(const Range& range, const Payload& payload, bool stable, Done done) {
    const auto limit = payload.is_zeros() ? max_zeroes_length : max_data_length;
    if (range.length > limit) {
        return split(range, limit, std::move(done), [&](const Range& piece, Done piece_done) {
            write(piece, payload.slice(piece.offset - range.offset, piece.length), stable, std::move(piece_done));
        });
    }
    ++in_client_call_;
    handle(WriteRequested{add_call(std::move(done), {}, 0), range, payload, stable});
    --in_client_call_;
}

void ResourceDriver::flush(Done done) {
    ++in_client_call_;
    handle(FlushRequested{add_call(std::move(done), {}, 0)});
    --in_client_call_;
}

void ResourceDriver::client_opened() {
    ++clients_;
    handle(ClientOpened{});
}

void ResourceDriver::client_closed() {
    --clients_;
    handle(ClientClosed{});
}

void ResourceDriver::answer_read(Ticket client, const base::Result<Payload>& data) {
    if (!data) return answer(client, std::unexpected(data.error()));
    const auto found = calls_.find(client);
    base::ensure(found != calls_.end(), "an answer belongs to a request");
    auto* into = found->second.into.data;
    const auto length = found->second.length;
    base::ensure(data->is_zeros() || data->length >= length, "a read brings all bytes");
    if (data->is_zeros()) {
        std::fill_n(into, length, std::byte{0});
    } else if (data->data != into) {
        std::copy_n(data->data, length, into);
    }
    answer(client, {});
}

void ResourceDriver::answer(Ticket client, base::Result<void> outcome) {
    const auto found = calls_.find(client);
    base::ensure(found != calls_.end(), "an answer belongs to a request");
    auto done = std::move(found->second.done);
    calls_.erase(found);
    if (in_client_call_ == 0) return done(std::move(outcome));
    loop_.post([done = std::move(done), outcome = std::move(outcome)] { done(outcome); });
}

// ---- commands
void ResourceDriver::command(CommandKind kind, Done done, bool discard_my_data) {
    const auto ticket = next_command_++;
    commands_.emplace(ticket, std::move(done));
    handle(CommandGiven{ticket, kind, discard_my_data});
}

void ResourceDriver::answer_command(Ticket command, base::Result<void> outcome) {
    const auto found = commands_.find(command);
    if (found == commands_.end()) return;
    loop_.post([done = std::move(found->second), outcome = std::move(outcome)] { done(outcome); });
    commands_.erase(found);
}

void ResourceDriver::attach(Done done) {
    const auto ticket = next_command_++;
    commands_.emplace(ticket, std::move(done));
    if (disk_ || opening_) {
        return answer_command(ticket, base::failure(make_error_code(Errc::already_attached), options_.disk_path));
    }
    auto opened = Disk::open(loop_, options_.disk_path);
    if (!opened) return answer_command(ticket, std::unexpected(opened.error()));
    opening_ = *std::move(opened);
    const auto geometry = geometry_of(opening_->size());
    if (!geometry) {
        opening_.reset();
        return answer_command(ticket, std::unexpected(geometry.error()));
    }
    const Range area{geometry->metadata_offset, geometry->metadata_length};
    opening_->read_all(
        area, [this, ticket](base::Result<base::Bytes> metadata) { got_metadata(ticket, std::move(metadata)); });
}

void ResourceDriver::got_metadata(Ticket command, base::Result<base::Bytes> metadata) {
    auto disk = std::move(opening_);
    if (!metadata) {
        closing_.push_back(std::move(disk));
        answer_command(command, std::unexpected(metadata.error()));
        return release_disk();
    }
    disk_ = std::move(disk);
    handle(DiskOpened{disk_->size(), *std::move(metadata), command});
    // Refused metadata: the core holds no disk, and neither do we.
    if (core_.disk() == DiskState::Diskless) close_disk();
}

// ---- the disk
base::Result<void> ResourceDriver::no_disk() const {
    return base::failure(make_error_code(Errc::not_attached), options_.disk_path);
}

void ResourceDriver::read_disk(const ReadLocal& action) {
    auto into = action.into;
    if (into.data == nullptr) {
        const auto memory = std::make_shared<base::AlignedBuffer>(action.range.length);
        into = {memory, memory->bytes().data()};
    }
    const Payload data{into.owner, into.data, action.range.length};
    if (!disk_) {
        events_.push_back(LocalReadDone{action.ticket, std::unexpected(no_disk().error())});
        return;
    }
    disk_->read(action.range, into, [this, ticket = action.ticket, data](base::Result<void> outcome) {
        if (outcome) {
            handle(LocalReadDone{ticket, data});
        } else {
            handle(LocalReadDone{ticket, std::unexpected(std::move(outcome).error())});
        }
        release_disk();
    });
}

void ResourceDriver::write_disk(const WriteLocal& action) {
    if (!disk_) {
        events_.push_back(LocalWriteDone{action.ticket, no_disk()});
        return;
    }
    disk_->write(action.range, action.payload, action.stable,
                 [this, ticket = action.ticket](base::Result<void> outcome) {
                     handle(LocalWriteDone{ticket, std::move(outcome)});
                     release_disk();
                 });
}

void ResourceDriver::write_metadata(const WriteMetadata& action) {
    if (!disk_) {
        events_.push_back(LocalWriteDone{action.ticket, no_disk()});
        return;
    }
    const auto geometry = geometry_of(disk_->size());
    base::ensure(geometry.has_value(), "a disk that was attached has room for metadata");
    const auto memory = std::make_shared<base::AlignedBuffer>(action.bytes.size());
    base::copy_bytes(action.bytes, memory->bytes());
    const Range range{geometry->metadata_offset + action.offset, action.bytes.size()};
    disk_->write(range, {memory, memory->bytes().data(), memory->size()}, true,
                 [this, ticket = action.ticket](base::Result<void> outcome) {
                     handle(LocalWriteDone{ticket, std::move(outcome)});
                     release_disk();
                 });
}

void ResourceDriver::flush_disk(const FlushLocal& action) {
    if (!disk_) {
        events_.push_back(LocalFlushDone{action.ticket, no_disk()});
        return;
    }
    disk_->flush([this, ticket = action.ticket](base::Result<void> outcome) {
        handle(LocalFlushDone{ticket, std::move(outcome)});
        release_disk();
    });
}

void ResourceDriver::close_disk() {
    if (!disk_) return;
    closing_.push_back(std::move(disk_));
    release_disk();
}

// A disk goes when its last request is answered; before anybody is told, so that the next program can open it.
void ResourceDriver::release_disk() {
    std::erase_if(closing_, [](const std::unique_ptr<Disk>& disk) { return disk->in_flight() == 0; });
}

}  // namespace blockrep
