// Records as bytes: what was built is found again; whatever is torn, stale or foreign is not.
#include <gtest/gtest.h>

#include "clusterfs/core/journal_record.hh"
#include "clusterfs/format/block_seal.hh"

namespace clusterfs {
namespace {

constexpr std::uint64_t device_blocks = 100'000;

JournalRegion region_of(std::uint64_t ring_blocks) {
    JournalRegion region;
    region.filesystem.bytes[3] = std::byte{5};
    region.slot = 1;
    region.first = 50'000;
    region.ring_blocks = ring_blocks;
    return region;
}

std::vector<BlockHandle> images_of(const JournalRegion& region, std::size_t count, std::uint64_t sequence) {
    std::vector<BlockHandle> images;
    for (std::size_t i = 0; i < count; ++i) {
        auto block = std::make_shared<Block>();
        auto& header = block->as<BlockHeader>();
        header.magic = BlockType::inode;
        header.version = 1;
        header.filesystem = region.filesystem.bytes;
        header.number = 100 + i;
        seal(block->bytes, sequence);
        images.push_back(std::move(block));
    }
    return images;
}

struct Ring {
    explicit Ring(const JournalRegion& region) {
        for (std::uint64_t i = 0; i < region.ring_blocks; ++i) blocks.push_back(std::make_shared<Block>());
    }
    void write(const JournalRegion& region, const BuiltRecord& record) {
        for (std::size_t i = 0; i < record.blocks.size(); ++i) {
            *blocks[(record.start + i) % region.ring_blocks] = *record.blocks[i];
        }
    }
    std::vector<std::shared_ptr<Block>> blocks;
};

TEST(JournalRecord, IsFoundAgain) {
    const auto region = region_of(1023);
    Ring ring(region);
    for (const std::size_t count : {1, 248, 249, 600}) {
        const auto record = build_record(region, {7, 3}, 2, 77, images_of(region, count, 77));
        ring.write(region, record);
        const auto found = find_record(region, ring.blocks, {7, 3}, 2, device_blocks);
        ASSERT_TRUE(found) << count;
        EXPECT_EQ(found->images.size(), count);
        EXPECT_EQ(found->sequence, 77U);
        EXPECT_EQ(found->end, record.end);
    }
}

TEST(JournalRecord, StartsAtTheFrontWhereItDoesNotFit) {
    const auto region = region_of(1023);
    Ring ring(region);
    const auto record = build_record(region, {1020, 9}, 2, 5, images_of(region, 10, 5));
    EXPECT_EQ(record.start, 1023U);
    ring.write(region, record);
    const auto found = find_record(region, ring.blocks, {1020, 9}, 2, device_blocks);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->end, 1023U + 11);
}

TEST(JournalRecord, OfAnotherEpochOrNumberIsNone) {
    const auto region = region_of(1023);
    Ring ring(region);
    ring.write(region, build_record(region, {7, 3}, 2, 5, images_of(region, 4, 5)));
    EXPECT_FALSE(find_record(region, ring.blocks, {7, 3}, 3, device_blocks));
    EXPECT_FALSE(find_record(region, ring.blocks, {7, 4}, 2, device_blocks));
    EXPECT_FALSE(find_record(region, ring.blocks, {8, 3}, 2, device_blocks));
}

TEST(JournalRecord, EverySectorCounts) {
    const auto region = region_of(1023);
    const auto record = build_record(region, {7, 3}, 2, 5, images_of(region, 3, 5));
    for (std::size_t block = 0; block < record.blocks.size(); ++block) {
        for (std::size_t sector = 0; sector < 8; ++sector) {
            Ring ring(region);
            ring.write(region, record);
            auto& bytes = ring.blocks[7 + block]->bytes;
            std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(sector * 512), 512, std::byte{0xff});
            EXPECT_FALSE(find_record(region, ring.blocks, {7, 3}, 2, device_blocks)) << block << "/" << sector;
        }
    }
}

TEST(JournalRecord, ImagesOfAnotherCommitDoNotCount) {
    const auto region = region_of(1023);
    Ring ring(region);
    ring.write(region, build_record(region, {7, 3}, 2, 5, images_of(region, 3, 5)));
    *ring.blocks[9] = *images_of(region, 3, 4)[1];
    EXPECT_FALSE(find_record(region, ring.blocks, {7, 3}, 2, device_blocks));
}

TEST(JournalHeaderBlock, HasItsFieldsInOneSector) {
    const auto region = region_of(1023);
    const auto block = build_journal_header(region, {true, 4, {900, 12}, 55});
    for (std::size_t i = 512; i < block_size; ++i) ASSERT_EQ(block->bytes[i], std::byte{0});
    const auto state = parse_journal_header(region, *block);
    ASSERT_TRUE(state);
    EXPECT_TRUE(state->dirty);
    EXPECT_EQ(state->epoch, 4U);
    EXPECT_EQ(state->tail.offset, 900U);
    EXPECT_EQ(state->tail.record, 12U);
    EXPECT_EQ(state->sequence, 55U);
}

TEST(JournalHeaderBlock, IsRefusedWhenDamagedOrForeign) {
    const auto region = region_of(1023);
    auto block = *build_journal_header(region, {true, 4, {900, 12}, 55});
    block.bytes[80] ^= std::byte{1};
    EXPECT_FALSE(parse_journal_header(region, block));
    auto other = region;
    other.slot = 0;
    EXPECT_FALSE(parse_journal_header(region, *build_journal_header(other, {true, 4, {900, 12}, 55})));
}

}  // namespace
}  // namespace clusterfs
