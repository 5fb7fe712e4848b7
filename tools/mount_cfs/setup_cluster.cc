#include "base/io/cpg_messenger.hh"
#include "base/io/quorum.hh"
#include "blockrep/driver/attach_client.hh"
#include "clusterfs/driver/dlm_lock_service.hh"
#include "dlm/driver/lockspace_client.hh"
#include "fencing/driver/fence_client.hh"
#include "tools/mount_cfs/setup.hh"

namespace mount_cfs {
namespace {

struct FenceSurroundings : Surroundings {
    explicit FenceSurroundings(base::EventLoop& loop) : fence(loop, "mount.cfs") {}
    fencing::FenceClient fence;
};

base::Result<void> check_node_group(const Options& options) {
    BASE_ASSIGN(const bool quorate, base::is_quorate());
    if (!quorate) {
        return base::failure(std::errc::resource_unavailable_try_again,
                             "this node group has no quorum: start Corosync on another node first");
    }
    if (options.nofencing) return {};
    return fencing::check_fencing_is_configured();
}

base::Result<void> check_name(const std::string& resource) {
    if (resource.find('/') == std::string::npos) return {};
    return base::failure(std::errc::invalid_argument,
                         resource + " is not the name of a resource (a file or device needs -o local)");
}

}  // namespace

base::Result<Prepared> prepare_cluster(base::EventLoop& loop, const std::string& resource, const Options& options) {
    BASE_TRY(check_name(resource));
    BASE_TRY(check_node_group(options));
    Prepared prepared;
    auto& setup = prepared.setup;
    setup.name = resource;
    BASE_ASSIGN(setup.self, fencing::ask_own_life());

    BASE_ASSIGN(auto device, blockrep::AttachClient::open(loop, resource));
    setup.describe_device = [client = device.get()](base::JsonWriter& json) {
        json.begin_object().member("client", client->identity().text());
        json.member("waiting_because", client->waiting_because()).end_object();
    };
    setup.device = std::move(device);

    auto surroundings = std::make_unique<FenceSurroundings>(loop);
    BASE_ASSIGN(auto lockspace, dlm::make_node_lockspace_client(loop, resource, setup.self, surroundings->fence));
    setup.locks = std::make_unique<clusterfs::DlmLockService>(loop, std::move(lockspace));
    BASE_ASSIGN(setup.group, base::make_cpg_messenger(loop));
    prepared.surroundings = std::move(surroundings);
    return prepared;
}

}  // namespace mount_cfs
