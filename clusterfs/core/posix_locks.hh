// flock and fcntl locks of all nodes of one mounted filesystem: a table that every member holds and that all change in
// the same order, the one in which the group delivers messages. Pure: the driver owns the group, timers are not needed.
//
// Whenever members join (or come back after a split), nothing is applied until they have agreed in a round: the lowest
// member starts it, everybody tells who it is and how far its table is, the one that is furthest sends its own, and
// when all have said that they have it, the table is open again. So what was granted on either side of a split is in
// the table that both go on with.
//
// A member that was lost with its node closes the table (requests are not applied, their askers wait) until it is back
// in the same life, or its node is back in another one, or somebody learned that that life is over and says so in the
// order; then its locks go. A process that ended takes its locks along at once. While we are alone, requests are
// applied without the group.
//
// Requests must not come before the lockspace has let this mount in: a member that never had the table may begin with
// an empty one when nobody it knows of has another.
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
    lost,         // ENOLCK: for drivers that cannot go on; never an answer of PosixLocks
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
    // That life of a node is certainly over, and so is every other one that the lockspace has lost: who left before it
    // told its life is known by its node only.
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

    // The members have agreed on the table.
    bool synchronized() const { return agreed_; }
    // Somebody was lost and may still live: nothing is applied.
    bool frozen() const { return !state_.lost.empty(); }
    const PosixLockTable& table() const { return state_.table; }
    void check_invariants() const;
    void describe(base::JsonWriter& json) const;

  private:
    enum class MessageType : std::uint8_t {
        round = 1,
        status = 2,
        table = 3,
        ready = 4,
        request = 5,
        test = 6,
        cancel = 7,
        purge = 8,
    };
    // How far one of our own requests has come.
    enum class Stage { unsent, sent, waiting };
    struct Pending {
        AdvisoryRequest request;
        bool is_test = false;
        bool cancelled = false;
        Stage stage = Stage::unsent;
        std::uint64_t number = 0;  // of the message that carried it last; 0: none did
    };
    struct Lost {
        base::GroupMember member;
        bool is_over = false;
    };
    // A process id can be used again before the life that had it is certified dead.
    struct MemberLife {
        base::GroupMember member;
        base::Uuid life;  // nil: not known
        auto operator<=>(const MemberLife&) const = default;
    };
    using MemberLives = std::set<MemberLife>;
    // The replicated part.
    struct State {
        std::uint64_t version = 0;  // changes of the table so far: of two sides of a split the higher has all changes
        std::map<base::GroupMember, base::Uuid> lives;  // who takes part
        std::map<base::Uuid, Lost> lost;                // by life: took part, and their locks are still there
        std::map<base::Uuid, std::uint64_t> executed;   // by life: number of its last message that was applied
        PosixLockTable table;

        base::Bytes encode() const;
        [[nodiscard]] bool decode(base::ByteView bytes);
    };
    struct RoundName {
        base::GroupMember starter;
        std::uint64_t number = 0;
        bool operator==(const RoundName&) const = default;
    };
    struct Status {
        base::Uuid life;
        bool has_table = false;
        std::uint64_t version = 0;
        MemberLives absent;  // may live without being in the view: its `lost` or `awaited_`
    };

    // posix_locks_rounds.cc
    void on_left(const base::GroupLeft& left);
    void agree_alone(AdvisoryActions& actions);
    void start_round(AdvisoryActions& actions);
    void on_round(const RoundName& round, AdvisoryActions& actions);
    void send_status(AdvisoryActions& actions);
    void on_status(const base::GroupMember& sender, base::ByteReader& reader, AdvisoryActions& actions);
    void decide(AdvisoryActions& actions);
    bool somebody_may_have_a_table() const;
    static void put_lives(base::ByteWriter& writer, const MemberLives& lives);
    static MemberLives take_lives(base::ByteReader& reader);
    void send_table(AdvisoryActions& actions);
    void on_table(base::ByteReader& reader, AdvisoryActions& actions);
    void adopt(AdvisoryActions& actions);
    void see_who_ended();
    void on_ready(const base::GroupMember& sender, AdvisoryActions& actions);
    void begin_empty();
    void become_agreed(AdvisoryActions& actions);
    void reconcile(AdvisoryActions& actions);
    void learn_over(const base::NodeIncarnation& dead, AdvisoryActions& actions);
    bool is_over(const MemberLife& each) const;
    void purge_known(AdvisoryActions& actions);
    void on_purge(base::ByteReader& reader, AdvisoryActions& actions);
    void remove_those_over(AdvisoryActions& actions);
    base::ByteWriter message_of_round(MessageType type) const;

    void send(AdvisoryActions& actions, base::ByteWriter writer);
    bool open() const { return agreed_ && !frozen(); }
    bool may_apply_locally() const { return open() && members_.size() == 1 && in_flight_ == 0; }
    void submit(Pending& pending, AdvisoryActions& actions);
    void submit_all(AdvisoryActions& actions);
    void send_cancel(std::uint64_t request_id, AdvisoryActions& actions);
    void on_request(MessageType type, const base::GroupMember& sender, base::ByteReader& reader,
                    AdvisoryActions& actions);
    void on_cancel(const base::GroupMember& sender, base::ByteReader& reader, AdvisoryActions& actions);
    bool is_next(const base::GroupMember& sender, std::uint64_t number);
    void apply(const base::GroupMember& sender, const AdvisoryRequest& request, bool is_test, AdvisoryActions& actions);
    void answer(std::uint64_t id, AdvisoryOutcome outcome, AdvisoryActions& actions,
                std::optional<AdvisoryLock> conflict = {});
    void answer_woken(const PosixLockTable::Woken& woken, AdvisoryActions& actions);

    base::NodeIncarnation incarnation_;
    base::GroupMember self_;
    std::vector<base::GroupMember> members_;

    bool has_table_ = false;
    State state_;
    MemberLives awaited_;                      // while we never had a table: who may have one and was lost
    std::set<base::GroupMember> not_awaited_;  // were, in a life that is not known, and are certainly over
    bool in_use_ = false;                      // the lockspace has let us in: requests have come
    std::set<base::NodeIncarnation> over_;

    bool agreed_ = false;
    std::uint64_t rounds_started_ = 0;
    std::optional<RoundName> round_;
    std::map<base::GroupMember, Status> statuses_;
    base::GroupMember source_;  // whose table the round goes on with
    base::Bytes table_bytes_;   // parts of it that arrived so far
    std::set<base::GroupMember> ready_;

    std::map<std::uint64_t, Pending> pending_;  // ours, not yet answered
    std::uint64_t messages_numbered_ = 0;
    std::size_t in_flight_ = 0;  // our messages that the group has not yet delivered
};

}  // namespace clusterfs
