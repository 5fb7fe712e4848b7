#include <algorithm>

#include "base/io/random.hh"
#include "clusterfs/driver/file_device.hh"
#include "clusterfs/driver/local_locks.hh"
#include "tools/mount_cfs/setup.hh"

namespace mount_cfs {

base::Result<Prepared> prepare_local(base::EventLoop& loop, const std::string& path, const Options& options) {
    Prepared prepared;
    BASE_ASSIGN(prepared.setup.device, clusterfs::FileDevice::open(path, options.read_only));
    prepared.setup.locks = std::make_unique<clusterfs::LocalLocks>(loop);
    prepared.setup.self = {base::NodeId{1}, base::random_uuid()};
    prepared.setup.name = path.substr(path.find_last_of('/') + 1);
    return prepared;
}

}  // namespace mount_cfs
