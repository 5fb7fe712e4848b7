#include "tools/mount_cfs/setup.hh"

namespace mount_cfs {

base::Result<Prepared> prepare_cluster(base::EventLoop&, const std::string& resource, const Options&) {
    return base::failure(std::errc::not_supported, resource + ": this build mounts files only (-o local)");
}

}  // namespace mount_cfs
