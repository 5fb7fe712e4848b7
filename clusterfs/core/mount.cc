#include "clusterfs/core/mount.hh"

#include <utility>

#include "base/ensure.hh"
#include "clusterfs/core/mount_state.hh"

namespace clusterfs {

Mount::Mount(MountOptions options, std::uint64_t device_blocks)
    : state_(new State(std::move(options), device_blocks, *this)) {}

Mount::~Mount() = default;

void Mount::start(base::Instant now, base::WallTime wall, Actions& actions) {
    auto& s = *state_;
    base::ensure(s.phase == State::Phase::created, "a mount is started once");
    s.io.enter(now, wall, actions);
    s.phase = State::Phase::starting;
    s.read_superblock();
    s.settle();
}

void Mount::run(Operation operation, Completion done, base::Instant now, base::WallTime wall, Actions& actions) {
    auto& s = *state_;
    s.io.enter(now, wall, actions);
    const bool usable = s.phase == State::Phase::running ||
                        (s.phase == State::Phase::stopping && s.stop_step == State::StopStep::operations);
    if (!usable) return done(base::failure(std::errc::io_error, "the filesystem is not mounted"));
    s.operations.run(std::move(operation), std::move(done));
    s.settle();
}

void Mount::unpin(const LockName& name, base::Instant now, base::WallTime wall, Actions& actions) {
    auto& s = *state_;
    const bool pins_are_dropped = s.phase == State::Phase::stopping && s.stop_step >= State::StopStep::locks;
    if (s.phase == State::Phase::stopped || pins_are_dropped) return;
    s.io.enter(now, wall, actions);
    s.locks.unpin(name, now, actions);
    s.settle();
}

bool Mount::close(InodeNumber inode, base::Instant now, base::WallTime wall, Actions& actions) {
    auto& s = *state_;
    const bool nameless = s.locks.deletion_was_wanted(inode) || s.has_no_links(inode);
    unpin({LockType::open, inode}, now, wall, actions);
    return nameless && !s.locks.is_open(inode);
}

void Mount::note_data_written(FileData what, InodeNumber inode) { state_->journal.note_data_written(what, inode); }

void Mount::commit(Completion done, base::Instant now, base::WallTime wall, Actions& actions) {
    auto& s = *state_;
    s.io.enter(now, wall, actions);
    if (s.options.read_only) return done({});
    if (s.phase == State::Phase::stopped) {
        return done(s.failure ? base::Result<void>(std::unexpected(*s.failure)) : base::Result<void>());
    }
    s.journal.commit(std::move(done));
    s.settle();
}

void Mount::step(Event event, base::Instant now, base::WallTime wall, Actions& actions) {
    auto& s = *state_;
    if (s.phase == State::Phase::stopped || s.phase == State::Phase::created) return;
    s.io.enter(now, wall, actions);
    s.dispatch(event);
    s.settle();
}

std::optional<base::Instant> Mount::next_deadline() const {
    const auto& s = *state_;
    if (s.phase == State::Phase::stopped) return std::nullopt;
    std::optional<base::Instant> earliest;
    for (const auto deadline : {s.locks.next_deadline(), s.journal.next_deadline(), s.orphans.next_deadline()}) {
        if (deadline && (!earliest || *deadline < *earliest)) earliest = deadline;
    }
    return earliest;
}

bool Mount::may_cache(InodeNumber inode) const { return state_->locks.may_kernel_cache(inode); }

void Mount::note_read_served(InodeNumber inode) { state_->locks.note_read_served(inode); }

bool Mount::reader_follows(InodeNumber inode, base::Instant now) const {
    return state_->locks.reader_follows(inode, now);
}

std::uint64_t Mount::tenure(InodeNumber inode) const { return state_->locks.tenure(inode_lock(inode)); }

void Mount::stop(base::Instant now, base::WallTime wall, Actions& actions) {
    auto& s = *state_;
    s.io.enter(now, wall, actions);
    if (s.phase == State::Phase::stopping || s.phase == State::Phase::stopped) return;
    if (s.phase != State::Phase::running) {
        return s.end(base::failure(std::errc::operation_canceled, "it was unmounted before it had been mounted"));
    }
    s.phase = State::Phase::stopping;
    s.orphans.stop();
    s.settle();
}

void Mount::check_invariants() const {
    state_->cache.check_invariants();
    state_->locks.check_invariants();
    state_->journal.check_invariants();
    state_->check_hints();
}

void Mount::describe(base::JsonWriter& json, base::Instant) const {
    static constexpr const char* phases[] = {"created", "starting", "running", "stopping", "stopped"};
    const auto& s = *state_;
    json.begin_object().member("phase", phases[static_cast<int>(s.phase)]).member("slot", s.slot);
    json.member("read_only", s.read_only);
    if (s.failure) json.member("failure", s.failure->message());
    json.member("sequence", s.io.clock()).member("cached_blocks", s.cache.size());
    json.member("journals_replayed", s.replayed_at_start + (s.recovery ? s.recovery->replayed_journals() : 0));
    json.member("recoveries_waiting", s.recovery ? s.recovery->waiting() : 0);
    json.member("orphans_deleted", s.orphans.deleted());
    json.key("journal");
    s.journal.describe(json);
    json.key("locks");
    s.locks.describe(json);
    json.key("waiting");
    s.operations.describe(json);
    json.end_object();
}

const Superblock& Mount::superblock() const { return state_->sb(); }
std::uint32_t Mount::slot() const { return state_->slot; }
BlockHandle Mount::cached_block(BlockNumber number) const { return state_->cache.find(number); }
LockMode Mount::held(const LockName& name) const { return state_->locks.usable(name); }
bool Mount::refuses_pins(const LockName& name) const { return state_->locks.refuses_pins(name); }
bool Mount::open_nowhere(InodeNumber inode) const { return state_->locks.open_nowhere(inode); }
bool Mount::freed_recently(BlockNumber number) const { return state_->journal.freed_recently(number); }
AllocationHints* Mount::allocation_hints() const { return &state_->hints; }
bool Mount::journal_has_space() const { return state_->journal.has_space(); }
bool Mount::read_only() const { return state_->read_only; }

}  // namespace clusterfs
