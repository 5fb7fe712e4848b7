// The fence gate of a mount, for lives of mounts instead of lives of machines. The death of a process is not the death
// of its machine: when a mount.cfs dies, a witness on its node asks the device whether what it had in flight has come
// to its end, and says so to the group; then that mount is as dead as if its machine had been shot, and nobody is shot.
// Only when the machine is gone, or its witness too, the machine itself has to be fenced.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hh"
#include "base/fence_gate.hh"
#include "base/group_messenger.hh"
#include "base/io/event_loop.hh"
#include "base/json_writer.hh"

namespace clusterfs {

// What the members of the group tell each other: docs/format/mount-lives.md.
struct LifeMessage {
    enum class Type : std::uint8_t {
        mount = 1,    // this process is that mount
        witness = 2,  // this process watches that mount of its node
        drained = 3,  // that mount is dead and nothing of it is under way
        // Told to those who join, of others that the sender has heard of.
        heard_of = 4,   // that mount was on that machine of `node`
        known_dead = 5  // the same, and it is certified
    };
    Type type = Type::mount;
    base::Uuid mount;
    base::Uuid machine;  // the life of the machine it runs on
    base::NodeId node;   // whose it is, for heard_of and known_dead; the others speak of the sender's node
};
base::Bytes encode(const LifeMessage& message);
std::optional<LifeMessage> decode_life_message(base::ByteView bytes);
std::string lives_group(const std::string& resource);

// Loop thread only.
class MountLives : public base::FenceGate {
  public:
    // `machines` is the gate of the node group; it must outlive this. `self`: this mount, on the machine's life
    // `machine`.
    MountLives(base::EventLoop& loop, std::unique_ptr<base::GroupMessenger> group, base::FenceGate& machines,
               base::NodeIncarnation self, base::Uuid machine);
    ~MountLives() override;

    base::Result<void> start(const std::string& resource, std::function<void(const base::Error&)> lost);
    void leave() { group_->leave(); }

    void request_fence(const base::NodeIncarnation& mount, const std::string& reason) override;
    void withdraw_fence(const base::NodeIncarnation& mount) override;
    void on_fenced(FencedCallback callback) override;
    // Also waits for what a witness still watches: a mount that died beside it is not over.
    void when_nobody_is_missing(std::function<void()> go_on) override;
    void describe(base::JsonWriter& json) const;

  private:
    struct Life {
        base::NodeId node;
        std::optional<base::Uuid> machine;
        std::optional<base::GroupMember> process;  // while it is a member
        std::optional<base::GroupMember> witness;  // while it is a member
        bool machine_lost = false;                 // it left because its machine did
        bool dead = false;
        std::optional<std::string> wanted;  // why it is to be fenced, if it is
        bool machine_asked = false;         // for the fence of its machine
        base::EventLoop::Handle patience;
    };

    Life& life(const base::Uuid& mount, base::NodeId node);
    void announce();
    void send(const LifeMessage& message);
    bool somebody_is_dying() const;
    void let_go_on();
    void on_view(const base::GroupView& view);
    void on_message(const base::GroupMember& sender, base::ByteView bytes);
    void on_left(const base::GroupLeft& left);
    void pursue(const base::Uuid& mount, Life& life);
    void ask_for_machine(Life& life);
    void spare_machine(Life& life);
    void lose_patience(const base::Uuid& mount);
    void certify(const base::Uuid& mount, Life& life);
    void on_machine_dead(const base::NodeIncarnation& machine);

    base::EventLoop& loop_;
    std::unique_ptr<base::GroupMessenger> group_;
    base::FenceGate& machines_;
    const base::NodeIncarnation self_;
    const base::Uuid machine_;
    std::map<base::Uuid, Life> lives_;
    std::set<base::NodeIncarnation> dead_machines_;
    std::vector<FencedCallback> callbacks_;
    // Who waits until no witness watches a death; and the announcement of ours that has to come back first, so that
    // what the group told before the question is known.
    std::vector<std::pair<std::uint64_t, std::function<void()>>> want_to_go_on_;
    std::uint64_t announced_ = 0;  // how often we have said who we are
    std::uint64_t returned_ = 0;   // and heard it
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace clusterfs
