// The master's side of one name: who holds, who converts, who waits, the value block, and the rules of granting.
//
// A new request is granted at once only if nobody converts or waits and it fits everything granted. A conversion is
// granted at once if it fits; else it waits in its queue, which goes before the queue of new requests. Both queues are
// served from the front. Flags change that, see dlm/format/types.hh.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "base/json_writer.hh"
#include "base/node.hh"
#include "base/time.hh"
#include "dlm/core/mode.hh"
#include "dlm/format/message.hh"

namespace dlm {

struct LockOwner {
    base::NodeId node;
    LockId lock = 0;
    auto operator<=>(const LockOwner&) const = default;
};

// One thing that the master says to an owner.
struct MasterNotice {
    base::NodeId to;
    PeerBody body;
};
using MasterNotices = std::vector<MasterNotice>;

class Resource {
  public:
    struct Entry {
        LockOwner owner;
        OperationId operation = 0;    // in flight while converting or waiting
        std::optional<Mode> granted;  // none: waits
        Mode requested = Mode::NL;    // equals granted unless it converts
        Flags flags;
        bool demoted = false;
        std::optional<Mode> notified;  // strongest mode that a blocking notice has named since the last grant
        base::Instant since;           // waiting or converting since; for people
    };
    using Queue = std::vector<Entry>;

    // The master's decisions; what has to be said is appended to `notices`.
    void request(base::NodeId from, const Request& message, base::Instant now, MasterNotices& notices);
    void convert(base::NodeId from, const Convert& message, base::Instant now, MasterNotices& notices);
    void lower(base::NodeId from, const Lower& message, MasterNotices& notices);
    void unlock(base::NodeId from, const Unlock& message, MasterNotices& notices);
    void cancel(base::NodeId from, const Cancel& message, MasterNotices& notices);

    // Rebuild.
    void forget_locks();
    void adopt(base::NodeId from, const HeldLock& held);
    // Takes a value that was written under a lock unless a newer one is known.
    void store(const Value& written);
    // A value of that sequence exists, but whether it is the last one is not known.
    void note_sequence(std::uint64_t sequence) { value_.sequence = std::max(value_.sequence, sequence); }
    void set_value(const Value& value) { value_ = value; }
    // Older copies must not make it valid again, so it counts as a write.
    void invalidate_value() { value_ = {value_.bytes, value_.sequence + 1, false}; }

    // Not to be granted beyond NL until released for all of these lives.
    void withhold(const base::NodeIncarnation& life);
    void release(const base::NodeIncarnation& life) { std::erase(withheld_for_, life); }
    const std::vector<base::NodeIncarnation>& withheld_for() const { return withheld_for_; }

    bool unused() const { return granted_.empty() && converting_.empty() && waiting_.empty(); }
    const Queue& granted() const { return granted_; }
    const Queue& converting() const { return converting_; }
    const Queue& waiting() const { return waiting_; }
    const Value& value() const { return value_; }

    // Grants what can be granted and tells holders who bar somebody.
    void serve(MasterNotices& notices);

    void check_invariants() const;
    void describe(base::JsonWriter& json, base::Instant now) const;

  private:
    bool fits(const Entry& entry, Mode mode) const;
    bool may_be_granted_at_once(const Entry& entry, Mode mode) const;
    bool may_be_granted_from_queue(const Entry& entry, Mode mode) const;
    bool choose_mode(Entry& entry, bool at_once) const;
    bool deadlocks(const Entry& conversion) const;
    bool waits_for_whom_it_overtakes(const Entry& conversion) const;
    void grant(Entry entry, MasterNotices& notices);
    void enqueue(Queue& queue, Entry entry);
    bool serve_queue(Queue& queue, MasterNotices& notices);
    void notify_holders(const Entry& blocked, MasterNotices& notices);
    void refuse(const Entry& entry, Outcome outcome, MasterNotices& notices) const;
    void refuse_to_queue(const Entry& entry, MasterNotices& notices);
    void back_to_granted(Entry entry);

    Queue granted_;
    Queue converting_;
    Queue waiting_;
    Value value_;
    std::vector<base::NodeIncarnation> withheld_for_;
};

}  // namespace dlm
