// The fence gate of programs on this node (blockrepd, mount.cfs): base::FenceGate over cfs-fenced's socket.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hh"
#include "base/fence_gate.hh"
#include "base/io/control_client.hh"
#include "base/io/event_loop.hh"
#include "base/json_writer.hh"

namespace fencing {

std::string fenced_socket_path();  // <run>/cfs/fenced.sock

// Asks cfs-fenced, blocking for at most a few seconds, whether every other node of the group can be fenced. The Error
// is one line that says what to do. For programs that refuse to start without fencing.
base::Result<void> check_fencing_is_configured(const std::string& socket_path = fenced_socket_path());

// Asks cfs-fenced, blocking for at most a few seconds, whether every node that it has heard of is in the group, has
// left it in good order, or is known to be dead. For programs that must not start as "the first" beside one behind a
// broken network.
base::Result<void> check_nobody_is_missing(const std::string& socket_path = fenced_socket_path());

// The present life of this very node. Blocks for at most a few seconds; an Error with a hint when cfs-fenced does not
// run.
base::Result<base::NodeIncarnation> ask_own_life(const std::string& socket_path = fenced_socket_path());

// Loop thread only (or before the loop runs). Connects by itself, again and again: while cfs-fenced is away nothing is
// known to have died, requests are kept and made anew when it is back. What is asked for ends with this object.
class FenceClient : public base::FenceGate {
  public:
    struct State {
        bool connected = false;
        bool in_group = false;  // cfs-fenced is a member of its group
        bool quorate = false;
        std::optional<base::NodeIncarnation> self;   // known from the first connection on
        std::map<base::NodeId, base::Uuid> members;  // living members of the group and the lives that they announced
        std::string problem;                         // while not connected: why
    };
    using StateCallback = std::function<void(const State&)>;

    // `program` names the asker to people ("blockrepd").
    FenceClient(base::EventLoop& loop, std::string program, std::string socket_path = fenced_socket_path());
    ~FenceClient() override;

    void request_fence(const base::NodeIncarnation& victim, const std::string& reason) override;
    void withdraw_fence(const base::NodeIncarnation& victim) override;
    // Any number of callbacks; each is told everything.
    void on_fenced(FencedCallback callback) override;
    void when_nobody_is_missing(std::function<void()> go_on) override;

    // Called at every change, and soon after the call with the present state.
    void on_state(StateCallback callback);
    const State& state() const { return state_; }
    bool is_dead(const base::NodeIncarnation& life) const { return dead_.contains(life); }
    void describe(base::JsonWriter& out) const;

  private:
    void connect();
    void connect_later(const std::string& why);
    void on_line(const boost::json::object& line);
    void on_hello(const boost::json::object& line);
    void on_members(const boost::json::object& line);
    void on_dead(const boost::json::object& line);
    void on_nobody_missing();
    void send(const char* command, const base::NodeIncarnation& victim, const std::string& reason);
    void state_changed();

    base::EventLoop& loop_;
    const std::string program_;
    const std::string path_;
    State state_;
    std::set<base::NodeIncarnation> dead_;
    std::map<base::NodeIncarnation, std::string> wanted_;  // not answered yet; the reason
    std::vector<FencedCallback> fenced_callbacks_;
    std::vector<std::function<void()>> want_nobody_missing_;  // one question each is under way while connected
    std::vector<StateCallback> state_callbacks_;
    std::unique_ptr<base::ControlStream> stream_;
    base::EventLoop::Handle retry_;
    base::Duration retry_after_;
    std::vector<base::EventLoop::Handle> introductions_;  // late subscribers that are still to be told
};

}  // namespace fencing
