// flock and fcntl locks of all nodes of one mounted filesystem: a table that every member holds and that all change in
// the same order, the one in which the group delivers messages. Pure: the driver owns the group, timers are not needed.
//
// A member that joins announces itself; when its announcement is delivered, the first member that has the table sends
// it. A member that was lost with its node freezes the table (requests are not applied, their askers wait) until
// somebody learned that it was fenced and says so in the order; then its locks go. A process that ended takes its locks
// along at once. While we are alone and nothing of ours is under way, requests are applied without the group.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/group_messenger.hh"
#include "base/json_writer.hh"
#include "base/node.hh"
#include "clusterfs/core/posix_lock_table.hh"

namespace clusterfs {

enum class AdvisoryOutcome {
    granted,
    would_block,  // EAGAIN
    deadlock,     // EDEADLK
    interrupted,  // EINTR: it was cancelled while it waited
    lost,         // ENOLCK: a split of the group was healed and the request's fate is unknown; it was taken back
};

struct MulticastBytes {
    base::Bytes bytes;
};
struct AnswerAdvisory {  // to a request or, with `conflict`, to a test
    std::uint64_t id = 0;
    AdvisoryOutcome outcome = AdvisoryOutcome::granted;
    std::optional<AdvisoryLock> conflict;
};
using AdvisoryAction = std::variant<MulticastBytes, AnswerAdvisory>;
using AdvisoryActions = std::vector<AdvisoryAction>;

class PosixLocks {
  public:
    explicit PosixLocks(base::NodeIncarnation self) : incarnation_(self) {}

    // What the group delivered, in its order. `self` is known from the first view on.
    void on_view(const base::GroupMember& self, const base::GroupView& view, AdvisoryActions& actions);
    void on_message(const base::GroupMember& sender, base::ByteView message, AdvisoryActions& actions);
    // That life of a node is certainly over.
    void on_fenced(const base::NodeIncarnation& dead, AdvisoryActions& actions);

    // A lock or unlock of this node; request.id is chosen by the caller and unique, owner.member is filled in here.
    // Answered exactly once, perhaps at once.
    void request(AdvisoryRequest request, AdvisoryActions& actions);
    // F_GETLK: answered with the first lock in the way, if any.
    void test(AdvisoryRequest request, AdvisoryActions& actions);
    // The asker was interrupted. Its request is answered with `interrupted` unless it is granted first.
    void cancel(std::uint64_t request_id, AdvisoryActions& actions);
    // Does this node's owner hold or ask for any lock of that file? If not, an unlock needs no message.
    bool may_own(std::uint64_t owner, AdvisoryKind kind, InodeNumber inode) const;

    bool synchronized() const { return synchronized_; }
    bool frozen() const { return !lost_.empty(); }
    const PosixLockTable& table() const { return table_; }
    void check_invariants() const;
    void describe(base::JsonWriter& json) const;

  private:
    enum class MessageType : std::uint8_t { announce = 1, table = 2, request = 3, test = 4, cancel = 5, purge = 6 };
    // How far one of our own requests has come.
    enum class Stage { unsent, sent, waiting };
    struct Pending {
        AdvisoryRequest request;
        bool is_test = false;
        bool cancelled = false;
        Stage stage = Stage::unsent;
    };

    void send(AdvisoryActions& actions, base::ByteWriter writer);
    void announce(AdvisoryActions& actions);
    void submit(Pending& pending, AdvisoryActions& actions);
    void submit_unsent(AdvisoryActions& actions);
    bool may_apply_locally() const;
    void apply(const base::GroupMember& sender, const AdvisoryRequest& request, bool is_test, AdvisoryActions& actions);
    void answer(std::uint64_t id, AdvisoryOutcome outcome, AdvisoryActions& actions,
                std::optional<AdvisoryLock> conflict = {});
    void answer_woken(const PosixLockTable::Woken& woken, AdvisoryActions& actions);
    void remove(const base::GroupMember& member, AdvisoryActions& actions);
    void on_left(const base::GroupLeft& left, AdvisoryActions& actions);
    void on_returned(const base::GroupMember& member, AdvisoryActions& actions);

    void on_announce(const base::GroupMember& sender, base::ByteReader& reader, AdvisoryActions& actions);
    void on_table(base::ByteReader& reader, AdvisoryActions& actions);
    void on_ordered(MessageType type, const base::GroupMember& sender, base::ByteReader& reader,
                    AdvisoryActions& actions);
    void on_request(MessageType type, const base::GroupMember& sender, base::ByteReader& reader,
                    AdvisoryActions& actions);
    void send_table(const base::GroupMember& to, std::uint64_t announcement, AdvisoryActions& actions);
    base::Bytes encode_state() const;
    bool decode_state(base::ByteView bytes);
    void become_synchronized(AdvisoryActions& actions);

    base::NodeIncarnation incarnation_;
    base::GroupMember self_;
    bool joined_ = false;
    bool synchronized_ = false;
    std::uint64_t announcement_ = 0;  // number of our last one
    bool announcement_delivered_ = false;
    base::Bytes table_bytes_;                                           // parts of the table that arrived so far
    std::vector<std::pair<base::GroupMember, base::Bytes>> held_back_;  // messages since our announcement

    std::vector<base::GroupMember> members_;
    // The replicated part: who has the table, whose life is which, who was lost and not yet fenced, the locks.
    std::set<base::GroupMember> with_table_;
    std::map<base::GroupMember, base::Uuid> lives_;
    std::set<base::GroupMember> lost_;
    PosixLockTable table_;

    std::map<std::uint64_t, Pending> pending_;  // ours, not yet answered
    std::size_t in_flight_ = 0;                 // our messages that the group has not yet delivered
    std::set<base::NodeIncarnation> fenced_;
};

}  // namespace clusterfs
