// The locks of a mount from the cluster's lock manager.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "base/io/event_loop.hh"
#include "clusterfs/driver/lock_service.hh"
#include "dlm/driver/lockspace_client.hh"

namespace clusterfs {

// One lock of the lock manager for each name. Destroy it on the loop thread or after the loop has ended.
class DlmLockService : public LockService {
  public:
    DlmLockService(base::EventLoop& loop, std::unique_ptr<dlm::LockspaceClient> client);
    ~DlmLockService() override;

    // Loop thread, or before the loop runs. `lost` is also how a failure to join is told.
    void start(Callbacks callbacks) override;
    void request(LockName name, LockMode mode, bool no_queue, bool recovery) override;
    Answer try_request(LockName name, LockMode mode, bool no_queue, bool recovery) override;
    void release(LockName name, LockMode keep) override;
    void release_dead(const base::NodeIncarnation& node) override;
    void leave(std::function<void()> left) override;
    void describe(base::JsonWriter& json) const override;

  private:
    struct Held {
        dlm::LockId id = 0;
        bool granted = false;
        bool pending = false;             // the client waits for an answer
        bool answering = false;           // which is on its way to it
        std::optional<dlm::Mode> wanted;  // came meanwhile: told after the answer
        LockMode asked = LockMode::none;  // what is pending
        dlm::Flags flags;
    };
    dlm::LockspaceClient::Requested ask(LockName name, LockMode mode, dlm::Flags flags);
    void ask_later_answered(LockName name, LockMode mode, dlm::Flags flags);
    void completed(const dlm::Completed& completed);
    void blocking(const dlm::BlockingNotice& notice);
    void node(const dlm::NodeNotice& notice);
    void answer_later(const dlm::LockspaceClient::Requested& requested);

    base::EventLoop& loop_;
    std::unique_ptr<dlm::LockspaceClient> client_;
    Callbacks callbacks_;
    mutable std::mutex mutex_;  // guards the maps; held around calls of the lock manager, never around callbacks
    std::map<LockName, Held> held_;
    std::map<dlm::LockId, LockName> names_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace clusterfs
