#include "tools/mkfs_cfs/signatures.hh"

#include <algorithm>
#include <string_view>
#include <vector>

#include "clusterfs/format/slot_map.hh"

namespace mkfs_cfs {
namespace {

using clusterfs::Block;

struct Signature {
    std::size_t offset;
    std::string_view bytes;
    const char* what;
};
using namespace std::string_view_literals;
constexpr Signature signatures[] = {
    {0, "XFSB"sv, "an XFS filesystem"},
    {1080, "\x53\xef"sv, "an ext2, ext3 or ext4 filesystem"},
    {8192, "OCFSV2"sv, "an OCFS2 filesystem"},
    {4096, "OCFSV2"sv, "an OCFS2 filesystem"},
    {2048, "OCFSV2"sv, "an OCFS2 filesystem"},
    {1024, "OCFSV2"sv, "an OCFS2 filesystem"},
    {65536, "\x01\x16\x19\x70"sv, "a GFS2 filesystem"},
    {65600, "_BHRfS_M"sv, "a btrfs filesystem"},
    {512, "LABELONE"sv, "an LVM physical volume"},
    {0, "LUKS\xba\xbe"sv, "an encrypted volume (LUKS)"},
    {4086, "SWAPSPACE2"sv, "swap space"},
    {512, "EFI PART"sv, "a partition table"},
    {3, "NTFS    "sv, "an NTFS filesystem"},
    {82, "FAT32"sv, "a FAT filesystem"},
    {510, "\x55\xaa"sv, "a partition table"},
};

constexpr std::size_t looked_at = 17;  // blocks

}  // namespace

base::Result<std::optional<std::string>> existing_content(clusterfs::SynchronousDevice& device) {
    if (clusterfs::read_superblock(device, clusterfs::superblock_number)) {
        return std::optional<std::string>("a CFS filesystem");
    }
    std::vector<Block> front(std::min<std::uint64_t>(looked_at, device.block_count()));
    BASE_TRY(device.read(0, front));
    const auto bytes = base::as_text(std::as_bytes(std::span(front)));
    for (const auto& signature : signatures) {
        if (signature.offset + signature.bytes.size() > bytes.size()) continue;
        if (bytes.substr(signature.offset, signature.bytes.size()) == signature.bytes) {
            return std::optional<std::string>(signature.what);
        }
    }
    return std::optional<std::string>();
}

std::string mounted_nodes(clusterfs::SynchronousDevice& device) {
    const auto superblock = clusterfs::read_superblock(device, clusterfs::superblock_number);
    if (!superblock) return {};
    const auto block = clusterfs::read_checked(device, clusterfs::slot_map_number, superblock->uuid());
    if (!block || fault_in((*block)->as<clusterfs::SlotMap>(), superblock->slot_count) != nullptr) return {};
    std::string nodes;
    for (const auto& slot : (*block)->as<clusterfs::SlotMap>().slots) {
        if (slot.state == clusterfs::SlotState::free) continue;
        nodes += (nodes.empty() ? "node " : ", node ") + std::to_string(slot.node);
    }
    return nodes;
}

}  // namespace mkfs_cfs
