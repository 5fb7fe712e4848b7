#include "clusterfs/format/slot_map.hh"

namespace clusterfs {

const char* fault_in(const SlotMap& map, std::uint32_t slot_count) {
    if (map.header.magic != BlockType::slot_map) return "not a slot map";
    if (map.slot_count != slot_count) return "the number of slots is not the superblock's";
    for (const auto& slot : map.slots) {
        if (slot.state != SlotState::free && slot.state != SlotState::mounted) return "a slot's state is unknown";
    }
    return nullptr;
}

}  // namespace clusterfs
