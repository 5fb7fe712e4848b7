#include "tools/fsck_cfs/mounted.hh"

#include <algorithm>
#include <vector>

#include "base/io/control_client.hh"
#include "base/io/event_loop.hh"
#include "base/io/json_text.hh"
#include "base/io/paths.hh"
#include "clusterfs/format/slot_map.hh"
#include "fencing/driver/fence_client.hh"

namespace fsck_cfs {
namespace {

using clusterfs::SlotMap;

std::vector<base::NodeIncarnation> owners_of_slots(clusterfs::SynchronousDevice& device) {
    std::vector<base::NodeIncarnation> owners;
    const auto superblock = clusterfs::read_superblock(device, clusterfs::superblock_number);
    if (!superblock) return owners;
    const auto block = clusterfs::read_checked(device, clusterfs::slot_map_number, superblock->uuid());
    if (!block || fault_in((*block)->as<SlotMap>(), superblock->slot_count) != nullptr) return owners;
    for (const auto& slot : (*block)->as<SlotMap>().slots) {
        if (slot.state == clusterfs::SlotState::mounted) owners.push_back({{slot.node}, {slot.incarnation}});
    }
    return owners;
}

bool is_mounted_here(const std::string& resource) {
    const auto socket = base::run_path("cfs/mount-" + resource + ".sock");
    const boost::json::object request{{"command", "status"}};
    const auto reply = base::call_control(socket, request, base::Duration::seconds(3));
    if (reply) return true;
    // Any other answer, and none in time, come from somebody who is there.
    const auto code = reply.error().code;
    return code != std::errc::no_such_file_or_directory && code != std::errc::connection_refused;
}

// Lives that are known to have ended, as cfs-fenced tells them. Without it none are known.
struct KnownLives {
    std::optional<base::NodeIncarnation> self;
    std::vector<base::NodeIncarnation> dead;
};
KnownLives ask_fencing() {
    KnownLives lives;
    base::EventLoop loop;
    fencing::FenceClient client(loop, "fsck.cfs");
    client.on_fenced([&](const base::NodeIncarnation& life) { lives.dead.push_back(life); });
    base::EventLoop::Handle settled;
    client.on_state([&](const fencing::FenceClient::State& state) {
        lives.self = state.self;
        if (state.connected && !settled) {
            settled = loop.after(base::Duration::milliseconds(200), [&] { loop.stop(); });
        }
    });
    const auto limit = loop.after(base::Duration::seconds(2), [&] { loop.stop(); });
    loop.run();
    return lives;
}

}  // namespace

std::string who_has_it_mounted(fskit::OpenedDevice& device, const std::string& name) {
    // Of a local device the file's lock has told already.
    if (!device.is_shared()) return {};
    const auto owners = owners_of_slots(device.blocks());
    if (owners.empty()) return {};
    const auto lives = ask_fencing();
    std::string mounted;
    for (const auto& owner : owners) {
        if (std::ranges::find(lives.dead, owner) != lives.dead.end()) continue;
        if (lives.self && *lives.self == owner && !is_mounted_here(name)) continue;
        mounted += (mounted.empty() ? "node " : ", node ") + std::to_string(owner.node.value);
    }
    return mounted;
}

}  // namespace fsck_cfs
