#include "clusterfs/core/journal_record.hh"

#include <algorithm>
#include <string>

#include "base/hash.hh"
#include "clusterfs/format/block_seal.hh"

namespace clusterfs {
namespace {

BlockHeader header_of(const JournalRegion& region, BlockType type, BlockNumber number) {
    BlockHeader header;
    header.magic = type;
    header.version = 1;
    header.filesystem = region.filesystem.bytes;
    header.number = number;
    return header;
}

std::uint64_t checksum_of(const std::vector<BlockHandle>& images) {
    std::vector<std::uint64_t> sums;
    sums.reserve(images.size());
    for (const auto& image : images) sums.push_back(image->as<BlockHeader>().checksum);
    return base::checksum(std::as_bytes(std::span(sums)));
}

// Where a record of this length starts: never across the end of the ring.
std::uint64_t start_of(const JournalRegion& region, std::uint64_t head, std::uint64_t length) {
    const auto until_end = region.ring_blocks - head % region.ring_blocks;
    return length <= until_end ? head : head + until_end;
}

// Reads one record, of which nothing is known yet.
class RecordParser {
  public:
    RecordParser(const JournalRegion& region, std::span<const std::shared_ptr<Block>> ring, const RecordPlace& place,
                 std::uint64_t epoch, std::uint64_t device_blocks)
        : region_(region), ring_(ring), place_(place), epoch_(epoch), device_blocks_(device_blocks) {}

    std::optional<ParsedRecord> parse() {
        const auto* first = descriptor(0);
        if (first == nullptr) return std::nullopt;
        const auto length = std::uint64_t{first->descriptors} + first->images;
        if (length > region_.ring_blocks - place_.offset % region_.ring_blocks) return std::nullopt;
        ParsedRecord record;
        record.sequence = first->header.sequence;
        record.end = place_.offset + length;
        std::vector<BlockHandle> images;
        for (std::uint32_t i = 0; i < first->images; ++i) {
            if (!add_image(*first, i, record, images)) return std::nullopt;
        }
        if (checksum_of(images) != first->images_checksum) return std::nullopt;
        return record;
    }

  private:
    const std::shared_ptr<Block>& at(std::uint64_t distance) const {
        return ring_[(place_.offset + distance) % region_.ring_blocks];
    }

    const JournalDescriptor* descriptor(std::uint32_t index) const {
        const auto& block = *at(index);
        const auto number = region_.ring_place(place_.offset + index);
        if (check(block.bytes, number, region_.filesystem) != BlockFault::none) return nullptr;
        const auto& found = block.as<JournalDescriptor>();
        const bool expected = found.header.magic == BlockType::journal_descriptor && found.epoch == epoch_ &&
                              found.record == place_.record && found.slot == region_.slot && found.index == index;
        if (!expected) return nullptr;
        const auto ring_blocks = static_cast<std::uint32_t>(region_.ring_blocks);
        return fault_in(found, ring_blocks, device_blocks_) == nullptr ? &found : nullptr;
    }

    bool add_image(const JournalDescriptor& first, std::uint32_t i, ParsedRecord& record,
                   std::vector<BlockHandle>& images) const {
        const auto index = static_cast<std::uint32_t>(i / JournalDescriptor::capacity);
        const auto* here = index == 0 ? &first : descriptor(index);
        if (here == nullptr || here->images != first.images || here->header.sequence != record.sequence) return false;
        const auto number = here->tags[i % JournalDescriptor::capacity].number;
        const auto& image = at(first.descriptors + i);
        if (number == 0 || number >= device_blocks_) return false;
        if (check(image->bytes, number, region_.filesystem) != BlockFault::none) return false;
        if (image->as<BlockHeader>().sequence != record.sequence) return false;
        record.images.insert_or_assign(number, image);
        images.push_back(image);
        return true;
    }

    const JournalRegion& region_;
    std::span<const std::shared_ptr<Block>> ring_;
    RecordPlace place_;
    std::uint64_t epoch_;
    std::uint64_t device_blocks_;
};

}  // namespace

JournalRegion journal_region(const Superblock& superblock, std::uint32_t slot) {
    const auto& layout = superblock.slots[slot];
    return {superblock.uuid(), slot, layout.journal_first, layout.journal_blocks - std::uint64_t{1}};
}

BlockHandle build_journal_header(const JournalRegion& region, const JournalState& state) {
    auto block = std::make_shared<Block>();
    auto& journal = block->as<JournalHeader>();
    journal.header = header_of(region, BlockType::journal_header, region.first);
    journal.slot = region.slot;
    journal.flags = state.dirty ? std::uint32_t{journal_dirty} : 0U;
    journal.block_count = static_cast<std::uint32_t>(region.ring_blocks + 1);
    journal.tail_position = static_cast<std::uint32_t>(state.tail.offset % region.ring_blocks);
    journal.tail_record = state.tail.record;
    journal.epoch = state.epoch;
    seal(block->bytes, state.sequence);
    return block;
}

base::Result<JournalState> parse_journal_header(const JournalRegion& region, const Block& block) {
    const auto refuse = [&](const char* what) {
        return base::failure(Errc::journal_corrupted,
                             "the header of journal " + std::to_string(region.slot) + ": " + what);
    };
    const auto fault = check(block.bytes, region.first, region.filesystem);
    if (fault != BlockFault::none) return refuse(text_of(fault));
    const auto& journal = block.as<JournalHeader>();
    if (journal.header.magic != BlockType::journal_header) return refuse("another type of block");
    const auto* wrong = fault_in(journal, region.slot, static_cast<std::uint32_t>(region.ring_blocks + 1));
    if (wrong != nullptr) return refuse(wrong);
    JournalState state;
    state.dirty = (journal.flags & journal_dirty) != 0;
    state.epoch = journal.epoch;
    state.tail = {journal.tail_position, journal.tail_record};
    state.sequence = journal.header.sequence;
    return state;
}

BuiltRecord build_record(const JournalRegion& region, const RecordPlace& head, std::uint64_t epoch,
                         std::uint64_t sequence, const std::vector<BlockHandle>& images) {
    const auto count = static_cast<std::uint32_t>(images.size());
    const auto descriptors = descriptors_for(count);
    BuiltRecord record;
    record.start = start_of(region, head.offset, descriptors + images.size());
    record.end = record.start + descriptors + images.size();
    const auto images_checksum = checksum_of(images);
    for (std::uint32_t index = 0; index < descriptors; ++index) {
        auto block = std::make_shared<Block>();
        auto& descriptor = block->as<JournalDescriptor>();
        descriptor.header = header_of(region, BlockType::journal_descriptor, region.ring_place(record.start) + index);
        descriptor.epoch = epoch;
        descriptor.record = head.record;
        descriptor.slot = region.slot;
        descriptor.descriptors = descriptors;
        descriptor.index = index;
        descriptor.images = count;
        descriptor.images_checksum = images_checksum;
        const auto first = index * JournalDescriptor::capacity;
        descriptor.tags_here = static_cast<std::uint32_t>(std::min(count - first, JournalDescriptor::capacity));
        for (std::uint32_t i = 0; i < descriptor.tags_here; ++i) {
            const auto& image = images[first + i]->as<BlockHeader>();
            descriptor.tags[i] = {image.number, image.magic, 0};
        }
        seal(block->bytes, sequence);
        record.blocks.push_back(std::move(block));
    }
    record.blocks.insert(record.blocks.end(), images.begin(), images.end());
    return record;
}

std::optional<ParsedRecord> find_record(const JournalRegion& region, std::span<const std::shared_ptr<Block>> ring,
                                        const RecordPlace& place, std::uint64_t epoch, std::uint64_t device_blocks) {
    auto found = RecordParser(region, ring, place, epoch, device_blocks).parse();
    if (found || place.offset % region.ring_blocks == 0) return found;
    const auto front = place.offset + region.ring_blocks - place.offset % region.ring_blocks;
    return RecordParser(region, ring, {front, place.record}, epoch, device_blocks).parse();
}

}  // namespace clusterfs
