// Locks for a filesystem that one node mounts alone: everything is granted.
#pragma once

#include "base/io/event_loop.hh"
#include "clusterfs/driver/lock_service.hh"

namespace clusterfs {

class LocalLocks : public LockService {
  public:
    explicit LocalLocks(base::EventLoop& loop) : loop_(loop) {}

    void start(Callbacks callbacks) override;
    void request(LockName name, LockMode mode, bool no_queue, bool recovery) override;
    Answer try_request(LockName, LockMode, bool, bool) override { return Answer::granted; }
    void release(LockName name, LockMode keep) override;
    void release_dead(const base::NodeIncarnation& node) override;
    void leave(std::function<void()> left) override;
    void describe(base::JsonWriter& json) const override;

  private:
    base::EventLoop& loop_;
    Callbacks callbacks_;
};

}  // namespace clusterfs
