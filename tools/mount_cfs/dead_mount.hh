// A mount that was killed and cannot end: all its threads are gone but one, which waits in the kernel for an answer
// that nobody is left to give. Its descriptors stay open, so nobody hears of its death. Its FUSE connection is aborted.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "base/io/event_loop.hh"

namespace mount_cfs {

// Loop thread only. Looks twice a second, for as long as it exists. `tell` is called with what is done about it, once.
class DeadMountWatch {
  public:
    using Tell = std::function<void(const std::string&)>;

    DeadMountWatch(base::EventLoop& loop, pid_t process, unsigned connection, std::string mountpoint, Tell tell);

  private:
    void look_later();
    void look();

    base::EventLoop& loop_;
    const pid_t process_;
    const unsigned connection_;
    const std::string mountpoint_;
    Tell tell_;
    base::EventLoop::Handle timer_;
};

}  // namespace mount_cfs
