#include "clusterfs/format/journal.hh"

namespace clusterfs {

const char* fault_in(const JournalHeader& header, std::uint32_t slot, std::uint32_t block_count) {
    if (header.header.magic != BlockType::journal_header) return "not a journal header";
    if (header.slot != slot) return "it is the journal of another slot";
    if (header.block_count != block_count) return "its size is not the superblock's";
    if (header.tail_position >= block_count - 1) return "its tail lies outside the journal";
    return (header.flags & ~std::uint32_t{journal_dirty}) != 0 ? "it has unknown flags" : nullptr;
}

const char* fault_in(const JournalDescriptor& descriptor, std::uint32_t ring_blocks, std::uint64_t device_blocks) {
    if (descriptor.header.magic != BlockType::journal_descriptor) return "not a journal descriptor";
    const auto images = std::uint64_t{descriptor.images};
    if (images == 0 || images > ring_blocks) return "its number of images is out of range";
    const auto descriptors = descriptors_for(descriptor.images);
    if (descriptor.descriptors != descriptors || descriptor.index >= descriptors) return "its parts are miscounted";
    if (images + descriptors > ring_blocks) return "the record is larger than the journal";
    const auto before = std::uint64_t{descriptor.index} * JournalDescriptor::capacity;
    const auto left = images - before;
    if (descriptor.tags_here != (left < JournalDescriptor::capacity ? left : JournalDescriptor::capacity)) {
        return "its number of tags is wrong";
    }
    for (std::uint32_t i = 0; i < descriptor.tags_here; ++i) {
        const auto& tag = descriptor.tags[i];
        if (tag.number == 0 || tag.number >= device_blocks) return "a tag points outside the filesystem";
        if (tag.flags != 0) return "a tag has unknown flags";
    }
    return nullptr;
}

}  // namespace clusterfs
