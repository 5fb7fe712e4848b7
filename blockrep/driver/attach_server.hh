// The attach socket: local clients with shared memory, and the certificates that nothing of a dead one is in flight.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json_writer.hh"
#include "blockrep/driver/attach_session.hh"

namespace blockrep {

// Loop thread only. A client that is gone is drained: what it had in flight goes on to its end, and a new client of the
// same device is let in only then. So whoever mounts after a crash of a mount finds nothing that still moves.
class AttachServer {
  public:
    AttachServer(base::EventLoop& loop, const DeviceDirectory& devices) : loop_(loop), devices_(devices) {}
    ~AttachServer();

    base::Result<void> listen(const std::string& path);

    // Calls back (soon, from the loop) when this client is gone and nothing of it is in flight. From then on it cannot
    // come back: the answer stays true for ever.
    void when_drained(const base::Uuid& client, std::function<void()> certified);
    void describe(base::JsonWriter& json) const;  // an array of clients

  private:
    using Session = std::shared_ptr<AttachSession>;
    void accept_one();
    void on_hello(const Session& session);
    void on_hung_up(const Session& session);
    void on_drained(const Session& session);
    bool must_wait(const Session& session) const;
    void admit(const Session& session);
    void certify_drained();

    base::EventLoop& loop_;
    const DeviceDirectory& devices_;
    base::FileDescriptor listener_;
    base::EventLoop::Handle watch_;
    std::set<Session> sessions_;     // all, until drained
    std::vector<Session> waiting_;   // for earlier clients to drain
    std::set<base::Uuid> shut_out_;  // certified as gone
    std::multimap<base::Uuid, std::function<void()>> certificates_;
};

}  // namespace blockrep
