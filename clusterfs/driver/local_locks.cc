#include "clusterfs/driver/local_locks.hh"

namespace clusterfs {

void LocalLocks::start(Callbacks callbacks) { callbacks_ = std::move(callbacks); }

void LocalLocks::request(LockName name, LockMode mode, bool, bool) {
    loop_.post([this, name, mode] { callbacks_.granted(name, mode); });
}

void LocalLocks::release(LockName, LockMode) {}

void LocalLocks::release_dead(const base::NodeIncarnation&) {}

void LocalLocks::leave(std::function<void()> left) { loop_.post(std::move(left)); }

void LocalLocks::describe(base::JsonWriter& json) const { json.begin_object().member("kind", "local").end_object(); }

}  // namespace clusterfs
