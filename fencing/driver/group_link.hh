// The daemon's two wires to Corosync, the group and quorum, as events of the core. Connects again when Corosync was
// away.
#pragma once

#include <functional>
#include <memory>

#include "base/group_messenger.hh"
#include "base/io/event_loop.hh"
#include "base/io/quorum.hh"
#include "fencing/core/event.hh"

namespace fencing {

class GroupLink {
  public:
    // Loop thread only. `deliver` is never called from inside a call. While Corosync is away: an empty view, no quorum.
    GroupLink(base::EventLoop& loop, std::function<void(const Event&)> deliver);

    // Dropped while Corosync is away: the core speaks again after the next view.
    void multicast(const Message& message);

  private:
    void connect();
    base::Result<void> try_connect();
    void lost(const base::Error& why);
    void received(const base::GroupMember& sender, base::ByteView bytes);

    base::EventLoop& loop_;
    std::function<void(const Event&)> deliver_;
    std::unique_ptr<base::GroupMessenger> messenger_;
    std::unique_ptr<base::QuorumWatch> quorum_;
    base::EventLoop::Handle retry_;
    bool connected_ = false;
    bool complained_ = false;
};

}  // namespace fencing
