// The insides of Resource: what it remembers, and its parts by concern (one .cc file each). Not for other modules.
#pragma once

#include "base/ensure.hh"
#include "base/sequenced_session.hh"
#include "blockrep/core/activity_log.hh"
#include "blockrep/core/bitmap.hh"
#include "blockrep/core/disjoint_ranges.hh"
#include "blockrep/core/handshake.hh"
#include "blockrep/core/resource.hh"
#include "blockrep/format/error.hh"

namespace blockrep {

// ---- clients
// ---------------------------------------------------------------------------------------------------------
using ClientRequest = std::variant<ReadRequested, WriteRequested, FlushRequested>;

struct OwnWrite {  // in flight
    WriteRequested request;
    bool local_pending = false;
    bool remote_pending = false;
    bool remote_unsent = false;       // the peer was lost and we cannot go on alone: to be sent when it is back
    bool local_unsent = false;        // in flight since before this disk was attached: still to be written to it
    std::uint64_t holds_extents = 0;  // of the disk with this number; 0: none
    bool stored_local = true;
    bool stored_remote = true;
};
struct OwnFlush {
    FlushRequested request;
    bool local_pending = false;
    bool remote_pending = false;
    bool remote_unsent = false;
    std::uint64_t on_disk = 0;  // the disk with this number; 0: none
    bool stored_local = true;
    bool stored_remote = true;
};

// ---- the peer's requests, being applied to our disk
// ----------------------------------------------------------------------
struct Applying {
    enum class Kind { write, resync };
    Kind kind = Kind::write;
    RequestId id = 0;
    Range range;
    Payload payload;
    bool stable = false;
    std::uint64_t session = 0;  // answers are for this session only
    bool started = false;
    std::map<RequestId, Range> covered{};  // by own writes that it crossed on the wire
    bool trimmed = false;
    bool overwritten = false;      // a part of it, between an earlier session and this one
    bool stays_dirty = false;      // what covers it turned out to be older
    std::set<RequestId> awaits{};  // own writes that cover parts and are not on our disk yet
    std::uint32_t parts = 0;       // local writes pending
    bool flushing = false;
    bool stored = true;
    std::uint64_t holds_extents = 0;  // of the disk with this number; 0: none
};

// A read that we answer for the peer. It must not show an own write that is still in flight, which the peer's own disk
// may lack a moment later: it waits for those, and own writes wait for it.
struct Serving {
    RequestId id = 0;
    Range range;
    std::uint64_t session = 0;
    bool started = false;
};

// ---- resync, on the source
// -----------------------------------------------------------------------------------------------
struct Chunk {
    Range range;
    bool sent = false;      // else being read
    bool outdated = false;  // what it covers must be copied once more
};

// ---- metadata
// ------------------------------------------------------------------------------------------------------------ Flush of
// the disk, then bitmap pages, then the log, then a superblock: each part is on the disk before the next begins.
struct MetadataJob {
    bool flush = false;
    bool all_pages = false;
    std::vector<Range> pages_of{};
    std::optional<ActivityLog::Update> log{};
    bool superblock = false;
    std::function<void()> done{};  // not called when the disk failed meanwhile
    Ticket command = 0;            // refused then
};

enum class LossReason { fenced, new_process, left, unreachable, given_up };

struct Resource::State {
    explicit State(Settings given);

    // ---- what is configured and counted
    Settings settings;
    bool orderer;
    base::Instant now{};
    Actions* out = nullptr;  // of the step under way
    Ticket next_ticket = 1;
    std::uint64_t random_state;

    // ---- disk (local_disk.cc, metadata_jobs.cc)
    using LocalDone = std::function<void(base::Result<Payload>)>;
    std::map<Ticket, LocalDone> local;  // what the driver owes us
    DiskState disk = DiskState::Diskless;
    bool disk_open = false;
    std::uint64_t disk_number = 0;     // counts attaches: answers of an earlier disk are told apart
    bool missed_writes = false;        // while we had no disk, the peer's may have taken what ours lacks
    bool cache_lost = false;           // the disk failed to flush: what it had answered may not be on it
    GenerationId unrecorded_loss = 0;  // of our data when the peer died; 0 once that is on disk, or it is back
    bool loss_unconfirmed = false;     // our disk went, and the peer may not have recorded it yet
    Geometry geometry;
    Superblock superblock;
    std::uint64_t superblock_copy = 0;
    Bitmap bitmap;
    ActivityLog log;
    bool crashed_primary = false;
    std::deque<MetadataJob> jobs;
    bool job_running = false;

    // ---- role and clients (client_requests.cc)
    Role role = Role::Secondary;
    std::uint32_t openers = 0;
    std::deque<ClientRequest> queue;
    std::map<RequestId, OwnWrite> writes;
    DisjointRanges own_ranges;  // theirs
    std::map<RequestId, OwnFlush> flushes;
    std::map<RequestId, ReadRequested> remote_reads;
    std::size_t local_reads = 0;

    // ---- peer (peer_requests.cc)
    std::map<std::uint64_t, Applying> applying;  // by arrival
    std::map<std::uint64_t, Serving> serving;
    std::map<RequestId, std::uint64_t> held_flushes;  // done for the peer in this session, answered later
    // The peer's writes that may be on our disk, and that it may send again in a new session: it had no answer, or a
    // bad one. What has been written over them since stays on top then.
    struct Remembered {
        Range range;
        std::map<RequestId, Range> overwritten{};  // by own writes
    };
    std::map<RequestId, Remembered> remembered;
    struct Answered {
        std::uint64_t sequence;  // of the answer
        RequestId id;
    };
    std::deque<Answered> answered;  // well
    base::Uuid peer_process;
    std::uint64_t next_arrival = 1;

    // ---- link (link.cc, agreement.cc, loss.cc)
    struct Outgoing {
        Message message;
        Payload payload;
    };
    ConnectionState connection = ConnectionState::StandAlone;
    bool link_open = false;
    bool hello_seen = false;        // on the present link
    bool session_poisoned = false;  // the peer broke the protocol, and only its end helps
    bool session_up = false;        // a session with the peer's process lives (over links that come and go)
    std::uint64_t session_number = 0;
    base::Uuid process;  // ours
    base::SequencedSession<Outgoing> session;
    std::uint64_t unacknowledged = 0;  // received since we last sent anything
    base::Uuid peer_incarnation;
    std::optional<base::Instant> link_lost_at;
    bool grace_over = false;
    bool fence_requested = false;

    // ---- agreement with the peer
    ReplicationState replication = ReplicationState::Off;
    bool negotiating = false;  // from the hello to Established or a running resync: client I/O waits
    std::optional<StateReport> own_report;
    std::optional<StateReport> peer_report;
    HandshakeResult verdict;
    bool agreed_sent = false;
    bool agreed_received = false;
    bool discard_my_data = false;
    Role peer_role = Role::Unknown;
    DiskState peer_disk = DiskState::DUnknown;
    bool alone = false;              // the peer is recorded as behind: client I/O goes on without it
    bool peer_behind = false;        // the same is known, but not recorded yet or not needed (Secondary)
    std::size_t recording_loss = 0;  // writes of the superblock under way that say: the peer has no disk
    LossReason last_loss = LossReason::given_up;

    // ---- resync (resync.cc)
    bool bitmap_received = false;
    bool sync_starting = false;
    bool sync_finishing = false;
    bool sync_finish_sent = false;
    std::map<RequestId, Chunk> chunks;
    std::uint64_t resync_cursor = 0;
    std::uint64_t resync_total = 0;  // bits at its start

    // ---- flushes sent to the peer (client_requests.cc)
    struct PeerFlush {
        std::uint64_t epoch;
        std::function<void(bool stored)> done;
    };
    std::map<RequestId, PeerFlush> peer_flushes;
    std::uint64_t flush_epoch = 1;
    std::optional<base::Instant> unproven_since;

    // ---- commands (commands.cc)
    struct PendingPromote {
        Ticket command;
        bool asked = false;  // the peer
        RequestId id = 0;
    };
    std::vector<PendingPromote> promotes;
    bool promoting = false;  // the metadata is being written
    struct PendingLeave {
        Ticket command;
        base::Instant deadline;
        bool said = false;  // to the peer
    };
    std::optional<PendingLeave> leave;
    std::optional<Ticket> demoting;
    bool demotion_saving = false;
    // Also on its way to be Primary: the superblock that says so may be written already.
    bool writes_here() const { return promoting || (role == Role::Primary && !demotion_saving); }
    bool in_pump = false;

    // random.
    std::uint64_t random();
    base::Uuid random_uuid();
    GenerationId new_generation();

    void act(Action action) { out->push_back(std::move(action)); }
    void report(std::string text) { act(Report{settings.name + ": " + std::move(text)}); }
    Ticket ticket() { return next_ticket++; }
    void complete_command(Ticket command, base::Result<void> outcome) {
        if (command != 0) act(CompleteCommand{command, std::move(outcome)});
    }
    // Starts whatever can start now. At the end of every step.
    void pump();

    // local_disk.cc
    void read_local(const Range& range, const ReadBuffer& into, LocalDone done);
    void write_local(const Range& range, const Payload& payload, bool stable, LocalDone done);
    void flush_local(LocalDone done);
    void open_disk(const DiskOpened& event);
    void record_loss_again();
    void fail_disk(const std::string& why);
    void close_disk();
    void drop_jobs();
    void abandon_resync();
    void confirm_loss();
    bool has_disk() const { return disk_open && disk >= DiskState::Inconsistent && disk != DiskState::DUnknown; }

    // metadata_jobs.cc
    void submit(MetadataJob job);
    void save(bool pages, std::function<void()> done, Ticket command = 0);
    void run_next_job();
    void run_pages();
    void run_log();
    void run_superblock();
    void finish_job();
    void write_metadata(std::uint64_t offset, base::Bytes bytes, std::function<void()> done);

    // client_requests.cc
    void request(ClientRequest request);
    bool may_start(const ClientRequest& request);
    bool try_start(const ClientRequest& request);
    bool try_read(const ReadRequested& request);
    bool try_write(const WriteRequested& request);
    bool try_flush(const FlushRequested& request);
    void start_remote_read(const ReadRequested& request);
    void start_local_read(const ReadRequested& request);
    void send_write(RequestId id, OwnWrite& write);
    void own_write_stored(RequestId id, base::Result<Payload> result);
    void finish_write(RequestId id);
    void keep_write(OwnWrite& write);
    void finish_flush(RequestId id);
    void finish_all();
    bool is_only_copy() const;
    void start_local_part(RequestId id, OwnWrite& write);
    void redo_local_parts();
    void try_local_parts();
    bool answer_must_wait(bool stored_local, bool stored_remote) const;
    void send_own_flush(RequestId id);
    void limit_unproven();
    void flush_peer(std::function<void(bool)> done);
    void resend_in_flight();
    bool replicating() const;
    bool peer_stores() const;
    std::string frozen_because() const;
    bool overlaps_own_write(const Range& range) const;
    bool overlaps_applying(const Range& range) const;
    bool overlaps_serving(const Range& range) const;
    bool overlaps_chunk(const Range& range, bool reading_only) const;
    bool can_read_locally() const;

    // peer_requests.cc
    void on(const Write& message, const Payload& payload);
    void on(const ResyncBlocks& message, const Payload& payload);
    void on(const Flush& message, const Payload&);
    void answer_flush(RequestId id, std::uint64_t in, bool stored);
    void on(const Read& message, const Payload&);
    void try_serve(std::uint64_t arrival);
    void served(std::uint64_t arrival, base::Result<Payload> result);
    void try_waiting_of_peer();
    void apply(Applying entry);
    bool try_apply(std::uint64_t arrival);
    bool must_wait(std::uint64_t arrival, const Applying& entry) const;
    void note_crossing(Applying& entry);
    void write_parts(std::uint64_t arrival, Applying& entry);
    void applied_part(std::uint64_t arrival, bool stored);
    void check_applied(std::uint64_t arrival);
    void answer_applied(std::uint64_t arrival);
    void answer_held();
    void recall(Applying& entry);
    void copy_again(const Range& range);
    void answer_write(const Applying& entry);
    void forget_acknowledged();
    void note_overwritten(RequestId own_write, const Range& range);
    void release_awaiting(RequestId own_write);

    // the peer's answers (client_requests.cc, resync.cc)
    void on(const WriteDone& message, const Payload&);
    void on(const FlushDone& message, const Payload&);
    void on(const ReadDone& message, const Payload& payload);
    void on(const ResyncDone& message, const Payload&);

    // link.cc
    void send(Message message, Payload payload = {});
    void open_link();
    void restart_link(const std::string& why);
    void link_opened();
    void link_closed(const std::string& why);
    void frame(const Frame& frame, const Payload& payload);
    void hello(const Hello& hello);
    void numbered(const Numbered& numbered, const Payload& payload);
    void deliver(const Message& message, const Payload& payload);
    void bad_peer(const std::string& what);
    void reset_session();
    void close_link(const std::string& why);
    void new_process(const Hello& hello);

    // agreement.cc
    void start_negotiation();
    StateReport make_report() const;
    void on(const StateReport& message, const Payload&);
    void on(const Agreed& message, const Payload&);
    void decide();
    void agree_without_sync();
    void check_established();
    void disagree(Disagreement why);
    void announce_state();
    void peer_lacks_disk();
    bool peer_writes_through_us() const { return peer_disk == DiskState::Diskless && peer_role == Role::Primary; }
    void bump_generation();

    // loss.cc
    void check_grace();
    void peer_fenced(const base::NodeIncarnation& dead);
    void lose_peer(LossReason reason);
    void after_loss(bool was_agreed);
    void give_up_unreachable();
    void go_alone();
    void keep_for_resending();
    void forget_answers_of_peer();
    void distrust_peer();
    void drop_remote_parts();

    // resync.cc
    void start_bitmap_exchange();
    void on(const BitmapPart& message, const Payload&);
    void on(const SyncStart& message, const Payload&);
    void on(const SyncStarted& message, const Payload&);
    void on(const SyncFinish& message, const Payload&);
    void on(const SyncFinished& message, const Payload&);
    void send_bitmap();
    void begin_sync_as_source();
    void fill_resync();
    bool take_chunk();
    void chunk_read(RequestId id, base::Result<Payload> result);
    void check_resync_finished();
    std::uint64_t dirty_kib() const { return bitmap.count() * (bitmap_block / 1024); }
    void finish_resync();

    // commands.cc
    void command(const CommandGiven& given);
    void connect(const CommandGiven& given);
    void disconnect(Ticket command);
    void leave_done();
    void say_leave();
    void promote(Ticket command);
    void try_promotes();
    bool try_promote(PendingPromote& pending);
    void become_primary(Ticket command);
    void promote_alone(Ticket command);
    void force_promote(Ticket command);
    void demote(Ticket command);
    void finish_demotion();
    void detach(Ticket command);
    void invalidate(Ticket command);
    void skip_initial_sync(Ticket command);
    void on(const PromoteRequest& message, const Payload&);
    void on(const PromoteReply& message, const Payload&);
    void on(const Leave& message, const Payload&);
    void on(const LeaveAccepted& message, const Payload&);

    std::optional<base::Instant> next_deadline() const;
    void time_passed();
    void check_invariants() const;
    void describe(base::JsonWriter& json) const;
};

inline base::Result<void> failed(Errc code, std::string detail = {}) {
    return base::failure(make_error_code(code), std::move(detail));
}

}  // namespace blockrep
