#include "base/io/cpg_messenger.hh"
#include "base/io/log.hh"
#include "base/io/quorum.hh"
#include "blockrep/driver/attach_client.hh"
#include "clusterfs/driver/dlm_lock_service.hh"
#include "clusterfs/driver/mount_lives.hh"
#include "dlm/driver/lockspace_client.hh"
#include "fencing/driver/fence_client.hh"
#include "tools/mount_cfs/setup.hh"

namespace mount_cfs {
namespace {

struct ClusterSurroundings : Surroundings {
    explicit ClusterSurroundings(base::EventLoop& loop) : machines(loop, "mount.cfs") {}
    ~ClusterSurroundings() override {
        if (lives != nullptr) lives->leave();
    }
    fencing::FenceClient machines;
    std::unique_ptr<clusterfs::MountLives> lives;
};

base::Result<void> check_node_group(const Options& options) {
    BASE_ASSIGN(const bool quorate, base::is_quorate());
    if (!quorate) {
        return base::failure(std::errc::resource_unavailable_try_again,
                             "this node group has no quorum: start Corosync on another node first");
    }
    if (options.nofencing) return {};
    BASE_TRY(fencing::check_fencing_is_configured());
    return fencing::check_nobody_is_missing();
}

base::Result<void> check_name(const std::string& resource) {
    if (resource.find('/') == std::string::npos) return {};
    return base::failure(std::errc::invalid_argument,
                         resource + " is not the name of a resource (a file or device needs -o local)");
}

}  // namespace

base::Result<Prepared> prepare_cluster(base::EventLoop& loop, const std::string& resource, const Options& options,
                                       Witness& witness) {
    BASE_TRY(check_name(resource));
    BASE_TRY(check_node_group(options));
    Prepared prepared;
    auto& setup = prepared.setup;
    setup.name = resource;
    BASE_ASSIGN(const auto machine, fencing::ask_own_life());
    BASE_ASSIGN(auto device, blockrep::AttachClient::open(loop, resource));
    setup.self = {machine.node, device->identity()};
    witness.watch(resource, setup.self.incarnation, machine.incarnation);

    auto surroundings = std::make_unique<ClusterSurroundings>(loop);
    BASE_ASSIGN(auto group, base::make_cpg_messenger(loop));
    surroundings->lives = std::make_unique<clusterfs::MountLives>(loop, std::move(group), surroundings->machines,
                                                                  setup.self, machine.incarnation);
    // The lockspace is lost together with this group, and ends the mount.
    BASE_TRY(surroundings->lives->start(resource, [](const base::Error& error) {
        base::log_error("the group of mounts is lost: {}", error.message());
    }));
    setup.describe_device = [client = device.get(), lives = surroundings->lives.get()](base::JsonWriter& json) {
        json.begin_object().member("waiting_because", client->waiting_because()).key("mounts");
        lives->describe(json);
        json.end_object();
    };
    setup.device = std::move(device);
    BASE_ASSIGN(auto lockspace, dlm::make_node_lockspace_client(loop, resource, setup.self, *surroundings->lives));
    setup.locks = std::make_unique<clusterfs::DlmLockService>(loop, std::move(lockspace));
    BASE_ASSIGN(setup.group, base::make_cpg_messenger(loop));
    prepared.surroundings = std::move(surroundings);
    return prepared;
}

}  // namespace mount_cfs
