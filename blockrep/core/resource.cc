#include "blockrep/core/resource.hh"

#include "blockrep/core/resource_state.hh"

namespace blockrep {
namespace {

const auto longest_unproven = base::Duration::seconds(5);

}  // namespace

Resource::State::State(Settings given)
    : settings(std::move(given)),
      orderer(settings.self.node < settings.peer),
      random_state(settings.seed),
      process(random_uuid()),
      session(random_uuid()) {}

// splitmix64: the driver's seed is random, the simulator's reproducible.
std::uint64_t Resource::State::random() {
    auto z = random_state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

base::Uuid Resource::State::random_uuid() {
    base::Uuid uuid;
    base::store(base::MutableByteView(uuid.bytes), random());
    base::store(base::MutableByteView(uuid.bytes).subspan(8), random());
    return uuid;
}

GenerationId Resource::State::new_generation() {
    for (;;) {
        const auto id = random() & ~std::uint64_t{1};
        if (id > just_created) return id;
    }
}

void Resource::State::pump() {
    if (in_pump) return;
    in_pump = true;
    check_grace();
    try_waiting_of_peer();
    try_local_parts();
    std::deque<ClientRequest> waiting;
    waiting.swap(queue);
    for (auto& request : waiting) {
        if (!may_start(request)) continue;
        if (!try_start(request)) queue.push_back(std::move(request));
    }
    fill_resync();
    if (disk_open && log.can_update()) {
        MetadataJob job;
        job.log = log.begin_update();
        job.flush = !job.log->put_out.empty();
        for (const auto extent : job.log->put_out) job.pages_of.push_back(range_of_extent(extent));
        job.done = [this] { log.finish_update(); };
        submit(std::move(job));
    }
    try_promotes();
    in_pump = false;
}

std::optional<base::Instant> Resource::State::next_deadline() const {
    std::optional<base::Instant> earliest;
    const auto consider = [&](base::Instant when) {
        if (!earliest || when < *earliest) earliest = when;
    };
    if (link_lost_at && !grace_over) consider(*link_lost_at + settings.reconnect_grace);
    if (leave) consider(leave->deadline);
    if (unproven_since && peer_stores()) consider(*unproven_since + longest_unproven);
    return earliest;
}

void Resource::State::time_passed() {
    if (leave && now >= leave->deadline) leave_done();
    if (unproven_since && peer_stores() && now >= *unproven_since + longest_unproven) flush_peer({});
}

namespace {

// One overload for each event. (A template because the state's type is private.)
template <typename State>
struct Handler {
    State& state;

    void finish(Ticket ticket, base::Result<Payload> result) {
        const auto found = state.local.find(ticket);
        if (found == state.local.end()) return;
        const auto done = std::move(found->second);
        state.local.erase(found);
        done(std::move(result));
    }
    static base::Result<Payload> without_data(base::Result<void> outcome) {
        if (!outcome) return std::unexpected(std::move(outcome).error());
        return Payload{};
    }

    void operator()(ReadRequested& event) { state.request(std::move(event)); }
    void operator()(WriteRequested& event) { state.request(std::move(event)); }
    void operator()(FlushRequested& event) { state.request(event); }
    void operator()(ClientOpened&) { ++state.openers; }
    void operator()(ClientClosed&) {
        if (state.openers != 0) --state.openers;
    }
    void operator()(DiskOpened& event) { state.open_disk(event); }
    void operator()(LocalReadDone& event) { finish(event.ticket, std::move(event.data)); }
    void operator()(LocalWriteDone& event) { finish(event.ticket, without_data(std::move(event.outcome))); }
    void operator()(LocalFlushDone& event) { finish(event.ticket, without_data(std::move(event.outcome))); }
    void operator()(LinkOpened&) { state.link_opened(); }
    void operator()(LinkClosed& event) { state.link_closed(event.why); }
    void operator()(FrameReceived& event) { state.frame(event.frame, event.payload); }
    void operator()(PeerFenced& event) { state.peer_fenced(event.dead); }
    void operator()(CommandGiven& event) { state.command(event); }
    void operator()(TimePassed&) { state.time_passed(); }
};

}  // namespace

Resource::Resource(Settings settings) : state_(std::make_unique<State>(std::move(settings))) {}
Resource::~Resource() = default;

void Resource::step(Event event, base::Instant now, Actions& actions) {
    state_->now = now;
    state_->out = &actions;
    std::visit(Handler<State>{*state_}, event);
    state_->pump();
    state_->out = nullptr;
}

std::optional<base::Instant> Resource::next_deadline() const { return state_->next_deadline(); }
Role Resource::role() const { return state_->role; }
Role Resource::peer_role() const { return state_->peer_role; }
DiskState Resource::disk() const { return state_->disk; }
DiskState Resource::peer_disk() const { return state_->peer_disk; }
ConnectionState Resource::connection() const { return state_->connection; }
ReplicationState Resource::replication() const {
    return state_->session_up ? state_->replication : ReplicationState::Off;
}
std::uint64_t Resource::data_size() const { return state_->geometry.data_size; }
std::uint64_t Resource::dirty_bytes() const { return state_->bitmap.count() * bitmap_block; }
std::string Resource::frozen_because() const { return state_->frozen_because(); }
std::size_t Resource::requests_in_flight() const {
    const auto& s = *state_;
    return s.queue.size() + s.writes.size() + s.flushes.size() + s.remote_reads.size() + s.local_reads;
}
void Resource::check_invariants() const { state_->check_invariants(); }
void Resource::describe(base::JsonWriter& json, base::Instant now) const {
    state_->now = now;
    state_->describe(json);
}

}  // namespace blockrep
