// Membership and totally ordered multicast of one named group: Corosync's CPG as the modules see it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.hh"
#include "base/error.hh"
#include "base/node.hh"

namespace base {

// One process that joined the group.
struct GroupMember {
    NodeId node;
    std::uint32_t process = 0;  // process id on that node
    auto operator<=>(const GroupMember&) const = default;
};

enum class LeaveReason { leave, node_down, process_down };

struct GroupLeft {
    GroupMember member;
    LeaveReason reason = LeaveReason::leave;
};

// A change of the member list. Ordered with the messages: every member sees the same sequence of views and messages
// between two views, as long as it stays a member (CPG's virtual synchrony).
struct GroupView {
    std::vector<GroupMember> members;  // sorted
    std::vector<GroupMember> joined;
    std::vector<GroupLeft> left;
};

// Implemented over libcpg (base/io/cpg_messenger) and by the simulator. One thread; callbacks are never called from
// inside join(), multicast() or leave().
class GroupMessenger {
  public:
    struct Callbacks {
        std::function<void(const GroupView&)> view_changed;
        std::function<void(const GroupMember& sender, ByteView message)> message_received;
        // The connection to Corosync is gone for good (it died or evicted us). No callback follows.
        std::function<void(const Error&)> lost;
    };
    virtual ~GroupMessenger() = default;

    virtual Result<void> join(const std::string& group, Callbacks callbacks) = 0;
    // Delivered to every member including the sender, in the same order everywhere. At most 64 KiB. Queued by the
    // messenger while Corosync asks to try again; dropped silently only when `lost` follows.
    virtual Result<void> multicast(ByteView message) = 0;
    virtual void leave() = 0;
    virtual GroupMember self() const = 0;
};

}  // namespace base
