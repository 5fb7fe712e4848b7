// One member of a lockspace: owner of its own locks, master of some resources, directory of some names. Pure: events
// in, actions out; the rules are in dlm/README.md.
//
// What an owner says to a master on the same node takes the same way as what travels, except that it is a call.
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/json_writer.hh"
#include "base/time.hh"
#include "dlm/core/action.hh"
#include "dlm/core/membership.hh"
#include "dlm/core/resource.hh"

namespace dlm {

class Lockspace {
  public:
    struct Settings {
        Member self;
        base::Duration forget_after = base::Duration::seconds(10);  // a resource without locks
    };
    explicit Lockspace(const Settings& settings);

    // Total: every event is accepted in every state. After Lost or Left nothing happens any more, except that requests
    // complete as cancelled.
    void step(const Event& event, base::Instant now, Actions& actions);
    std::optional<base::Instant> next_deadline() const;
    void check_invariants() const;
    // Status; with `locks`, every resource mastered here.
    void describe(base::JsonWriter& json, base::Instant now, bool locks) const;

    Membership::Phase phase() const { return membership_.phase(); }
    Generation agreed_generation() const { return membership_.round().generation; }
    std::size_t owned_locks() const { return owned_.size(); }
    // What this process holds, as its client was told: for checkers.
    template <typename Visit>
    void visit_held(Visit visit) const {
        for (const auto& [id, lock] : owned_) {
            if (lock.granted) visit(id, lock.name, lock.assured());
        }
    }
    // Nobody but this node need be asked about that name.
    bool is_local(const Name& name) const;

  private:
    // ---- owner (lockspace_owner.cc)
    struct Pending {
        OperationId operation = 0;
        Mode mode = Mode::NL;
        Flags flags;
        bool sent = false;       // in this generation
        bool cancelled = false;  // cancel was asked for
    };
    struct OwnedLock {
        Name name;
        std::optional<Mode> granted;
        base::NodeId master;            // 0: to be asked for
        base::NodeId confirmed_master;  // of the last completed generation
        std::optional<Pending> pending;
        bool demoted = false;        // the master may have given up what was granted before the pending conversion
        std::optional<Value> value;  // as last read or written
        Mode assured() const { return pending ? assured_mode(*granted, pending->mode, pending->flags) : *granted; }
    };
    // Written by a lower or an unlock, not yet known to have reached the master.
    struct UnstoredValue {
        base::NodeId master;
        NamedValue value;
    };
    using Owned = std::unordered_map<LockId, OwnedLock>;

    void on(const LockRequested& event);
    void on(const ConversionRequested& event);
    void on(const UnlockRequested& event);
    void on(const CancelRequested& event);
    void lower(LockId id, OwnedLock& lock, const ConversionRequested& event);
    bool is_done_without_master(const OwnedLock& lock, const ConversionRequested& event) const;
    std::optional<Value> written_value(const OwnedLock& lock, std::optional<Mode> to, Flags flags,
                                       const ValueBytes& bytes) const;
    void dispatch(LockId id, OwnedLock& lock);
    void dispatch_all();
    void complete_cancelled(LockId id, OwnedLock& lock);
    void ask_again(LockId id, OperationId operation, base::NodeId next);
    OwnedLock* find_pending(LockId id, OperationId operation);

    void from_master(base::NodeId from, const Granted& message);
    void from_master(base::NodeId from, const Refused& message);
    void from_master(base::NodeId from, const Blocking& message);
    void from_master(base::NodeId from, const ValueStored& message);
    void from_master(base::NodeId from, const Redirect& message);
    void from_master(base::NodeId from, const NotMaster& message);

    // ---- master and directory (lockspace_master.cc)
    struct Mastered {
        Resource resource;
        std::optional<base::Instant> unused_since;
        bool in_unused_list = false;
        bool provisional = false;  // made by a rebuild that is not completed yet
        bool orphaned = false;     // its master is gone: what the dead held is not known
        bool value_known = false;  // of an orphan: from somebody who would know
    };
    using MasteredNames = std::unordered_map<Name, Mastered>;

    void to_master(base::NodeId from, const Request& message);
    void to_master(base::NodeId from, const Convert& message);
    void to_master(base::NodeId from, const Lower& message);
    void to_master(base::NodeId from, const Unlock& message);
    void to_master(base::NodeId from, const Cancel& message);
    void to_master(base::NodeId from, const StoreValue& message);
    void to_master(base::NodeId from, const DirectoryRemove& message);
    base::NodeId directory_of(const Name& name) const;
    Mastered& master_here(const Name& name);
    void changed(const Name& name, Mastered& mastered, MasterNotices notices);
    void note_use(const Name& name, Mastered& mastered);
    void publish(MasterNotices notices);
    void forget_unused();
    void serve_all();
    void release_dead(const base::NodeIncarnation& life);

    // ---- membership and rebuild (lockspace_rebuild.cc)
    void on(const ViewChanged& event);
    void on(const GroupMessageDelivered& event);
    void on(const QuorumChanged& event);
    void keep_links();
    void begin_rebuild(const Round& round);
    void purge(const std::map<base::NodeId, base::Uuid>& previous, bool was_told);
    void purge_exactly(const std::map<base::NodeId, base::NodeIncarnation>& dead);
    void hand_over();
    void tell_directory();
    void tell_held();
    void tell_unstored();
    void tell_unstored_again();
    void tell_done();
    void rebuild(base::NodeId from, const DirectoryEntries& message);
    void rebuild(base::NodeId from, const HeldLocks& message);
    void rebuild(base::NodeId from, const WrittenValues& message);
    void store_told_values();
    void rebuild(base::NodeId from, const Handover& message);
    void rebuild(base::NodeId from, const RebuildDone& message);
    Mastered& rebuilt(const Name& name);
    void adopt(base::NodeId from, const HeldLock& held);
    void finish_rebuild();
    void resume();
    void settle_rebuild();
    void confirm_or_revert();
    std::optional<base::NodeId> confirmed_master_that_stays(base::NodeId master) const;
    base::NodeId master_for_writes(const OwnedLock& lock) const;
    void judge(Mastered& mastered);
    bool is_master(base::NodeId node) const;
    void end_if_over();

    // ---- routing (lockspace.cc)
    // What is held has been told to the masters of this generation: what changes from now on must be told, too.
    bool masters_are_known() const;
    void on(const PeerMessageArrived& event);
    void on(const DeadReleaseRequested& event);
    void on(const LeaveRequested& event);
    void on(const LifeFenced& event);
    void on(const NobodyMissing& event);
    void on(const GroupLost& event);
    void on(const SecretRefused& event);
    void on(const TimePassed& event);
    void send(base::NodeId to, PeerBody body);
    void deliver(base::NodeId from, const PeerBody& body);
    void work_off_stash();
    std::optional<base::NodeId> node_of(const base::Uuid& session) const;
    void act(Action action) { actions_->push_back(std::move(action)); }

    Settings settings_;
    Membership membership_;
    base::NodeId self_;
    base::Instant now_;           // of the step under way
    Actions* actions_ = nullptr;  // likewise
    base::Instant phase_since_;

    Generation generation_ = 0;                              // whose rebuild has begun
    bool settled_ = true;                                    // the last rebuild was completed, and its results count
    std::map<base::NodeId, base::Uuid> confirmed_sessions_;  // participants of the last completed generation
    std::map<base::NodeId, base::Uuid> sessions_;            // its participants
    std::vector<base::NodeId> masters_;                      // its masters, sorted
    std::set<base::NodeId> told_everything_;                 // participants whose RebuildDone has arrived
    std::vector<NamedValue> told_values_;                    // of WrittenValues
    std::set<base::NodeIncarnation> unknown_dead_;           // died when it was not known what they held here
    std::set<Member> links_;
    struct Stashed {
        base::Uuid session;
        PeerMessage message;
    };
    std::deque<Stashed> stash_;  // of a generation to come, or until grants may be made

    Owned owned_;
    std::unordered_map<LockId, UnstoredValue> unstored_;
    MasteredNames mastered_;
    std::unordered_map<Name, base::NodeId> directory_;  // names that hash to this node: their master
    std::deque<std::pair<base::Instant, Name>> unused_;
    std::uint64_t forgotten_sequence_ = 0;  // the highest of a value that was forgotten here
};

}  // namespace dlm
