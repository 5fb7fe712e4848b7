// GroupMessenger over Corosync's libcpg.
#pragma once

#include <memory>

#include "base/group_messenger.hh"
#include "base/io/event_loop.hh"

namespace base {

// Connects to the local Corosync; an Error with a hint when it does not run. Loop thread only. One group each.
Result<std::unique_ptr<GroupMessenger>> make_cpg_messenger(EventLoop& loop);

}  // namespace base
